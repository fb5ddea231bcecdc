"""A mail's summary: the header fields that a list of mails shows, decoded for people to read.

Senders write what they like: 8-bit text, charsets that nobody knows, base64 that is none. All of it
becomes some text; nothing raises, and nothing is longer than its limit.
"""

from __future__ import annotations

import binascii
import contextlib
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
_WORD = rb"=\?[^?\s]{1,80}\?[bqBQ]\?(?:[^?]|\?(?!=)){0,2000}\?="
_WORDS = re.compile(_WORD + rb"(?: ?" + _WORD + rb")*")

_WORD_IN_BASE64 = re.compile(rb"=\?[^?\s]{1,80}\?[bB]\?[^?]*\?=")
_CHARSET = re.compile(rb"""\bcharset[ \t]*=[ \t]*["']?([A-Za-z0-9_.:-]{1,80})""", re.IGNORECASE)
_ESCAPE = b"\x1b"

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
    # The charset of the text, or of the first part of it, is most often that of raw header text.
    charset = _CHARSET.search(head)
    return _summary(raw, charset[1].decode("ascii") if charset else "")


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
    return _summary(raw, "utf-8")


def readable(raw: bytes, longest: int = LONGEST_FIELD, charset: str = "") -> str:
    """Decode the value of a header field; at most `longest` characters, on one line.

    `charset`: what unencoded text may be in that is no UTF-8, as another field lets one guess.
    """
    most = longest * _RAW_PER_CHARACTER
    flat = b" ".join(raw[:most].split())
    if len(raw) > most:
        flat = flat.rpartition(b" ")[0] or flat  # no half of an encoded word
    parts: list[str] = []
    end = 0
    for words in _WORDS.finditer(flat):
        parts += _unencoded(flat[end : words.start()], charset), _decoded(words[0], charset)
        end = words.end()
    parts.append(_unencoded(flat[end:], charset))
    text = "".join(c if unicodedata.category(c) != "Cc" else " " for c in "".join(parts))
    short = " ".join(text.split())[:longest]
    return short.encode("utf-8", "replace").decode()


def _summary(raw: Mapping[str, bytes], charset: str) -> Summary:
    longest = {"date": LONGEST_DATE}
    return Summary(
        **{
            NAMES[name]: readable(value, longest.get(name, LONGEST_FIELD), charset)
            for name, value in raw.items()
        }
    )


def _unencoded(raw: bytes, charset: str) -> str:
    """Return UTF-8 as such (RFC 6532), and any other 8-bit text as what it most likely is."""
    if charset.lower().startswith("iso-2022") and _ESCAPE in raw:  # all of it is ASCII
        return _strictly(raw, charset) or raw.decode("ascii", "replace")
    for name in ("utf-8", charset):
        if (text := _strictly(raw, name)) is not None:
            return text
    return raw.decode("cp1252", "replace")


def _strictly(raw: bytes, charset: str) -> str | None:
    if charset.lower().replace("-", "_") in _NOT_FOR_MAIL:
        return None
    try:
        return raw.decode(charset)
    except (LookupError, ValueError):
        return None


def _decoded(words: bytes, charset: str) -> str:
    """Decode encoded words. Bytes that nobody encoded may stand in them, and are kept."""
    plain = words.isascii()
    try:
        # What is no ASCII means nothing in base64, and itself between quoted characters.
        text = _WORD_IN_BASE64.sub(_without_8_bit, words).decode("latin-1")
        parts: Iterable[tuple[bytes | str, str | None]] = decode_header(text)
    except (HeaderParseError, binascii.Error, ValueError):
        return _unencoded(words, charset)
    return "".join(
        part if isinstance(part, str) else _in_charset(part, own, charset, plain=plain)
        for part, own in parts
    )


def _without_8_bit(word: re.Match[bytes]) -> bytes:
    return bytes(byte for byte in word[0] if byte < 0x80)


def _in_charset(raw: bytes, own: str | None, charset: str, *, plain: bool) -> str:
    """Decode by the word's own charset; where it cannot be that of all, by what is likely."""
    name = (own or "ascii").partition("*")[0]  # a language may follow (RFC 2231 section 5)
    text = _strictly(raw, name)
    if text is None and plain and name.lower().replace("-", "_") not in _NOT_FOR_MAIL:
        with contextlib.suppress(LookupError, ValueError):
            text = raw.decode(name, "replace")
    return _unencoded(raw, charset) if text is None else text


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
