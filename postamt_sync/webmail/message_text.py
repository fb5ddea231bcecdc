"""Writing a message: header fields and body, in ASCII.

The standard library is not used, because it interprets its input: an encoded word that a person
typed is decoded, and a line end in it would begin a new header field.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from postamt_sync.webmail.typed_addresses import TypedAddress

_WORD_BYTES = 42
"""Bytes of text in one encoded word, which may have 75 characters (RFC 2047 section 2)."""
_PARAMETER_CHARACTERS = 60
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*", re.ASCII)
_LINE = 76
_NEVER_NESTED = ("message/", "multipart/")


@dataclass(frozen=True, slots=True)
class OutgoingFile:
    """An attachment. Name and type must be harmless."""

    name: str
    type: str
    content: bytes = field(repr=False)


def field_line(name: str, value: str) -> bytes:
    """Return a header field. Its value must be valid in a header."""
    return f"{name}: {value}\r\n".encode("ascii")


def text_line(name: str, text: str) -> bytes:
    """Return a field with unstructured text, which is one line."""
    return field_line(name, _words(text) if _needs_words(text) else _folded(text))


def address_line(name: str, addresses: Sequence[TypedAddress]) -> bytes:
    """Return a field with addresses."""
    return field_line(name, ",\r\n ".join(map(_mailbox, addresses)))


def encoded_length(size: int) -> int:
    """Return how many bytes a file of this size takes in a message, in lines of base64."""
    characters = -(-size // 3) * 4
    return characters + 2 * -(-characters // _LINE)


def body(text: str, files: Sequence[OutgoingFile]) -> bytes:
    """Return what follows the other fields: Content-Type, an empty line, and all parts."""
    words = _text_part(text)
    if not files:
        return words
    boundary = f"=_{secrets.token_hex(16)}"  # in neither base64 nor quoted-printable
    parts = [words, *map(_file_part, files)]
    mark = f"--{boundary}".encode()
    whole = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts)
    head = field_line("Content-Type", f'multipart/mixed; boundary="{boundary}"')
    return head + b"\r\n" + whole + mark + b"--\r\n"


def _text_part(text: str) -> bytes:
    lines = text.encode("utf-8", "replace").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    encoded = binascii.b2a_qp(lines.rstrip(b"\n") + b"\n", istext=True)
    # Some servers change lines that begin like this.
    encoded = re.sub(rb"(?m)^From ", b"=46rom ", encoded).replace(b"\n", b"\r\n")
    return (
        field_line("Content-Type", "text/plain; charset=utf-8")
        + field_line("Content-Transfer-Encoding", "quoted-printable")
        + b"\r\n"
        + encoded
    )


def _file_part(file: OutgoingFile) -> bytes:
    kind = "application/octet-stream" if file.type.startswith(_NEVER_NESTED) else file.type
    encoded = base64.encodebytes(file.content).replace(b"\n", b"\r\n")
    return (
        field_line("Content-Type", kind)
        + field_line("Content-Disposition", f"attachment{_filename(file.name)}")
        + field_line("Content-Transfer-Encoding", "base64")
        + b"\r\n"
        + encoded
    )


def _filename(name: str) -> str:
    """Return the parameter `filename`, by RFC 2231 and in pieces if need be."""
    if re.fullmatch(r"[A-Za-z0-9 ._-]{1,60}", name, re.ASCII):
        return f'; filename="{name}"'
    escaped = re.findall(r"%..|.", quote(name.encode("utf-8", "replace"), safe=""))
    pieces = [""]
    for character in escaped:
        if len(pieces[-1]) + len(character) > _PARAMETER_CHARACTERS:
            pieces.append("")
        pieces[-1] += character
    if len(pieces) == 1:
        return f";\r\n filename*=utf-8''{pieces[0]}"
    start = "utf-8''"
    return "".join(
        f";\r\n filename*{n}*={start if n == 0 else ''}{piece}" for n, piece in enumerate(pieces)
    )


def _mailbox(address: TypedAddress) -> str:
    name = address.name
    if not name:
        return address.address
    if _needs_words(name):
        return f"{_words(name)}\r\n <{address.address}>"
    if not _ATOMS.fullmatch(name):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        name = f'"{escaped}"'
    return f"{name} <{address.address}>"


def _needs_words(text: str) -> bool:
    """Tell whether text must be encoded, also because it looks like an encoded word."""
    return not text.isascii() or not text.isprintable() or "=?" in text


def _words(text: str) -> str:
    """Return text as encoded words (RFC 2047), without splitting a character."""
    words = [b""]
    for character in text:
        encoded = character.encode("utf-8", "replace")
        if len(words[-1]) + len(encoded) > _WORD_BYTES:
            words.append(b"")
        words[-1] += encoded
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words)


def _folded(text: str) -> str:
    """Fold a line of ASCII at its spaces."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + len(word) > _LINE - 10:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}" if lines[-1] else word
    return "\r\n ".join(lines)
