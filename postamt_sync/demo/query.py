"""As much of the AWS query protocol as SNS needs: form fields in, XML out."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from aiohttp import web

NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


class RefusedError(Exception):
    """An error that SNS answers with: its code, its message, and the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def response(self) -> web.Response:
        kind = "Receiver" if self.status >= 500 else "Sender"
        error = element("Type", kind) + element("Code", self.code)
        error += element("Message", self.message)
        body = f'<ErrorResponse xmlns="{NAMESPACE}"><Error>{error}</Error>'
        body += f"{element('RequestId', str(uuid.uuid4()))}</ErrorResponse>"
        return web.Response(text=body, content_type="text/xml", status=self.status)


def invalid(message: str) -> RefusedError:
    return RefusedError("InvalidParameter", f"Invalid parameter: {message}")


def element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>"


def answer(action: str, result: str = "") -> web.Response:
    """Wrap the inner XML of a result; without one, send only the metadata, as SNS does."""
    inner = f"<{action}Result>{result}</{action}Result>" if result else ""
    metadata = f"<ResponseMetadata>{element('RequestId', str(uuid.uuid4()))}</ResponseMetadata>"
    body = f'<{action}Response xmlns="{NAMESPACE}">{inner}{metadata}</{action}Response>'
    return web.Response(text=body, content_type="text/xml")


def attribute_map(attributes: Mapping[str, str]) -> str:
    entries = (
        f"<entry>{element('key', key)}{element('value', value)}</entry>"
        for key, value in attributes.items()
    )
    return f"<Attributes>{''.join(entries)}</Attributes>"


def members(name: str, items: Sequence[Mapping[str, str]]) -> str:
    listed = (
        "<member>" + "".join(element(k, v) for k, v in item.items()) + "</member>" for item in items
    )
    return f"<{name}>{''.join(listed)}</{name}>"


def form_attributes(form: Mapping[str, str]) -> dict[str, str]:
    """Read `Attributes.entry.N.key` and `.value`."""
    found: dict[str, str] = {}
    number = 1
    while (key := form.get(f"Attributes.entry.{number}.key")) is not None:
        found[key] = form.get(f"Attributes.entry.{number}.value", "")
        number += 1
    return found


def with_subscriptions(
    content: bytes, added: Sequence[Mapping[str, str]], *, without: str
) -> bytes:
    """Add to a list of subscriptions, and remove those whose endpoint ends in `without`."""
    space = f"{{{NAMESPACE}}}"
    root = ET.fromstring(content)  # noqa: S314 - our own child process wrote it
    listed = root.find(f".//{space}Subscriptions")
    assert listed is not None
    for member in list(listed):
        if (member.findtext(f"{space}Endpoint") or "").endswith(without):
            listed.remove(member)
    for item in added:
        member = ET.SubElement(listed, f"{space}member")
        for name, value in item.items():
            ET.SubElement(member, f"{space}{name}").text = value
    ET.register_namespace("", NAMESPACE)
    return bytes(ET.tostring(root))
