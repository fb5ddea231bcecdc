"""A mail's summary: the header fields that a list of mails shows, decoded for people to read.

Senders write what they like: 8-bit text, charsets that nobody knows, base64 that is none. All of it
becomes some text; nothing raises, and nothing is longer than its limit.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from email.errors import HeaderParseError
from email.header import decode_header

from postamt_sync.mail.headers import header_block

LONGEST_FIELD = 1_000
"""Characters kept of From, To, Cc and Subject."""

LONGEST_DATE = 100
"""Characters kept of a Date; RFC 5322 section 3.3 needs 31."""

_RAW_PER_CHARACTER = 12
"""Bytes of a raw field that are read for each character kept: base64 of four-byte characters."""

_FIELD = re.compile(
    rb"(?:\A|\n)(from|to|cc|subject|date)[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)", re.IGNORECASE
)
# Encoded words (RFC 2047) in a row belong together: a character may be cut in two between them. No
# expression here can match the same text in two ways.
_WORD = rb"=\?[^?\s]{1,80}\?[bqBQ]\?[^?]*\?="
_WORDS = re.compile(_WORD + rb"(?: ?" + _WORD + rb")*")

_NOT_FOR_MAIL = frozenset({"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape"})
"""Codecs of Python's that are no charset of a mail; some cost quadratic time or warn."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The sender's words, None where the mail has no such field. `date` is as it was written."""

    from_: str | None = None
    to: str | None = None
    cc: str | None = None
    subject: str | None = None
    date: str | None = None


NAMES = {field.name.rstrip("_"): field.name for field in fields(Summary)}
"""Header names in lower case, each with its attribute."""


def summary_of_head(head: bytes) -> Summary:
    """Return the summary of a mail that begins with `head`; of fields that come twice the first."""
    block = header_block(head)
    raw: dict[str, bytes] = {}
    for found in _FIELD.finditer(head if block is None else block):
        raw.setdefault(found[1].decode("ascii").lower(), found[2])
    return _summary(raw)


def summary_of_receipt(mail: Mapping[str, object]) -> Summary:
    """Return the summary from the member `mail` of a SES receipt.

    `headers` are the mail's own, in its order; what they lack is taken from `commonHeaders`. What
    is not of the documented form counts as absent.
    """
    raw: dict[str, bytes] = {}
    headers = mail.get("headers")
    for header in headers if isinstance(headers, list) else ():
        if isinstance(header, dict):
            name, value = header.get("name"), header.get("value")
            if isinstance(name, str) and isinstance(value, str) and name.lower() in NAMES:
                raw.setdefault(name.lower(), _bytes(value))
    common = mail.get("commonHeaders")
    for name, value in common.items() if isinstance(common, dict) else ():
        if name not in NAMES:
            continue
        values = value if isinstance(value, list) else [value]
        if words := [word for word in values if isinstance(word, str) and word]:
            raw.setdefault(name, _bytes(", ".join(words)))
    return _summary(raw)


def readable(raw: bytes, longest: int = LONGEST_FIELD) -> str:
    """Decode the value of a header field; at most `longest` characters, on one line."""
    most = longest * _RAW_PER_CHARACTER
    flat = b" ".join(raw[:most].split())
    if len(raw) > most:
        flat = flat.rpartition(b" ")[0] or flat  # no half of an encoded word
    parts: list[str] = []
    end = 0
    for words in _WORDS.finditer(flat):
        parts += _unencoded(flat[end : words.start()]), _decoded(words[0])
        end = words.end()
    parts.append(_unencoded(flat[end:]))
    text = "".join(c if unicodedata.category(c) != "Cc" else " " for c in "".join(parts))
    short = " ".join(text.split())[:longest]
    return short.encode("utf-8", "replace").decode()


def _summary(raw: Mapping[str, bytes]) -> Summary:
    return Summary(
        **{
            NAMES[name]: readable(value, LONGEST_DATE if name == "date" else LONGEST_FIELD)
            for name, value in raw.items()
        }
    )


def _unencoded(raw: bytes) -> str:
    """Return UTF-8 as such (RFC 6532), and any other 8-bit text as what it most often is."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _decoded(words: bytes) -> str:
    try:
        parts: Iterable[tuple[bytes | str, str | None]] = decode_header(words.decode("ascii"))
    except (HeaderParseError, binascii.Error, ValueError):
        return _unencoded(words)
    return "".join(
        part if isinstance(part, str) else _in_charset(part, charset) for part, charset in parts
    )


def _in_charset(raw: bytes, charset: str | None) -> str:
    name = (charset or "ascii").partition("*")[0]  # a language may follow (RFC 2231 section 5)
    if name.lower().replace("-", "_") not in _NOT_FOR_MAIL:
        try:
            return raw.decode(name, "replace")
        except (LookupError, ValueError):
            pass
    return _unencoded(raw)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
