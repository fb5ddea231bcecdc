"""What an answer that reports an error says: its code, its message, and whether AWS gave it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

_ENDPOINT = "Endpoint"
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws")
_UNKNOWN_THERE = frozenset({404, 405, 501})
"""Statuses for a path or method that a server does not have."""
_PAGE = re.compile(r"<(?:!doctype|html|head|body)\b", re.IGNORECASE)


def note_endpoint(endpoint: str, parsed: dict[str, Any], **_: Any) -> None:
    """Note in an answer which URL was called. A handler of botocore's event "after-call"."""
    parsed.setdefault("ResponseMetadata", {})[_ENDPOINT] = endpoint


def unknown_at(error: ClientError) -> str:
    """Return the URL of a server, not AWS, that lacks the operation; otherwise "".

    Such a server answers with nothing but a status. So does AWS to a HEAD, and a login page that
    answers in AWS's place; both are excluded.
    """
    about = error.response.get("ResponseMetadata", {})
    endpoint = "" if error.operation_name.startswith("Head") else str(about.get(_ENDPOINT, ""))
    host = f".{urlsplit(endpoint).hostname or ''}"
    is_bare = code_of(error) in {"", str(about.get("HTTPStatusCode"))}
    is_there = about.get("HTTPStatusCode") not in _UNKNOWN_THERE or host.endswith(_AWS_DOMAINS)
    return endpoint if is_bare and endpoint and not is_there else ""


def code_of(error: ClientError) -> str:
    """Return AWS's error code, "" if there is none. Untrusted text."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return AWS's error message, "" if it is markup. Untrusted text.

    For JSON services, botocore takes any other answer, such as an HTML page, for a message.
    """
    message = str(error.response.get("Error", {}).get("Message") or "")
    return "" if is_markup(message) else message


def is_markup(text: str) -> bool:
    """Whether a text is an HTML page, or XML that botocore did not understand."""
    return text.lstrip("\ufeff \t\r\n").startswith("<") or _PAGE.search(text) is not None
