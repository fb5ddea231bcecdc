"""Reading addresses that a person types into To, Cc and Bcc. If one is wrong, nothing is sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

from postamt_sync.mail.routing import canonical_form
from postamt_sync.webmail.exchange import RefusedRequestError

MOST_RECIPIENTS = 50
"""The most recipients of one mail (SES Developer Guide, "Service quotas")."""
LONGEST = 20_000
"""Characters of one field."""
LONGEST_NAME = 200
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*", re.ASCII)
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.ASCII)
_NAMED = re.compile(r"([^<>]*)<([^<>]*)>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TypedAddress:
    """An address that mail can be sent to, with the domain in A-labels."""

    name: str
    address: str


def typed_addresses(text: str) -> tuple[TypedAddress, ...]:
    """Return the addresses in a field, each once. Raises RefusedRequestError if one is wrong."""
    if len(text) > LONGEST:
        raise _refused("Those are too many addresses.")
    found: dict[str, TypedAddress] = {}
    for piece in _pieces(text):
        named = _NAMED.fullmatch(piece)
        name, plain = (named[1], named[2]) if named else ("", piece)
        address = _address(plain.strip())
        if address is None:
            raise _refused(f"{one_line(piece, 80)!r} is not an address that mail can be sent to.")
        found.setdefault(address.lower(), TypedAddress(_name(name), address))
    return tuple(found.values())


def one_line(text: str, longest: int) -> str:
    """Return text as one line without control characters, so that it cannot end a header field."""
    flat = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(flat.encode("utf-8", "replace").decode().split())[:longest]


def _pieces(text: str) -> list[str]:
    """Split at commas, semicolons and newlines outside of quotes and angle brackets."""
    pieces = [""]
    quoted = angled = False
    for character in text:
        if character == '"':
            quoted = not quoted
        elif character in "<>" and not quoted:
            angled = character == "<"
        if character in ",;\n" and not quoted and not angled:
            pieces.append("")
        else:
            pieces[-1] += character
    return [piece.strip() for piece in pieces if piece.strip()]


def _address(text: str) -> str | None:
    local, at, _ = text.rpartition("@")
    if (
        not at
        or not text.isprintable()
        or len(text) > 320
        or len(local) > 64
        or not _LOCAL.fullmatch(local)
    ):
        return None
    try:
        domain = canonical_form(text)[1]
    except ValueError:
        return None
    return f"{local}@{domain}" if _DOMAIN.fullmatch(domain) and len(domain) < 254 else None


def _name(text: str) -> str:
    return one_line(text.strip().strip('"').replace('\\"', '"'), LONGEST_NAME)


def _refused(problem: str) -> RefusedRequestError:
    return RefusedRequestError(HTTPStatus.BAD_REQUEST, problem, code="addresses")
