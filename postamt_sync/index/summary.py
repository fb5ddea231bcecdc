"""A mail's summary: the header fields that a list of mails shows, decoded for people to read.

Senders write what they like: 8-bit text, charsets that nobody knows, base64 that is none. All of it
becomes some text; nothing raises, and nothing is longer than its limit.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice

from postamt_sync.mail.charset import codec, declared, decoded, likely
from postamt_sync.mail.header_block import fields_named, first_fields, whole_header

LONGEST_FIELD = 1_000
"""Characters kept of From, To, Cc and Subject."""

LONGEST_DATE = 100
"""Characters kept of a Date; RFC 5322 section 3.3 needs 31."""

_RAW_PER_CHARACTER = 12
"""Bytes of a raw field that are read for each character kept: base64 of four-byte characters."""

_FIELDS = fields_named("from", "to", "cc", "subject", "date")
_BEGINNING = re.compile(rb"=\?([!-)+->@-~]{1,80})(?:\*[^?\s]{0,40})?\?([bqBQ])\?")
"""Of an encoded word (RFC 2047): its charset and its encoding."""
_LONGEST_WORD = 2_000
"""Bytes of the encoded text; the RFC allows 75 for all of the word."""
_HEX = re.compile(rb"=([0-9A-Fa-f]{2})")
_CUT = re.compile(rb"(?:\?|=[0-9A-Fa-f]?)\Z")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_CHARSET = re.compile(rb"""\bcharset[ \t]*=[ \t]*["']?([A-Za-z0-9_.:-]{1,80})""", re.IGNORECASE)
_MOST_CHARSETS = 20
"""Charsets of its parts and words that count as evidence of what a mail is in."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The sender's words, None where the mail has no such field. `date` is as it was written."""

    from_: str | None = None
    to: str | None = None
    cc: str | None = None
    subject: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class _Word:
    """An encoded word: where it stands in its field, and what it encodes."""

    start: int
    end: int
    charset: str
    octets: bytes


NAMES = {field.name.rstrip("_"): field.name for field in fields(Summary)}
"""Header names in lower case, each with its attribute."""


def summary_of_head(head: bytes) -> Summary:
    """Return the summary of a mail that begins with `head`; of fields that come twice the first."""
    block = whole_header(head)
    raw = first_fields(block, _FIELDS)
    plain = all(map(_is_plain, raw.values()))
    return _summary(raw, () if plain else charsets_in(head, block))


def charsets_in(head: bytes, block: bytes) -> tuple[str, ...]:
    """Return the charsets that a mail names, those of its text first: raw header text is most often
    in the same."""
    parts = [found[1] for found in islice(_CHARSET.finditer(head), _MOST_CHARSETS)]
    words = [found[1] for found in islice(_BEGINNING.finditer(block), _MOST_CHARSETS)]
    return tuple(dict.fromkeys(name.decode("ascii").lower() for name in (*parts, *words)))


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
    return _summary(raw, ())


def readable(raw: bytes, longest: int = LONGEST_FIELD, charset: str | Iterable[str] = ()) -> str:
    """Decode the value of a header field; at most `longest` characters, on one line.

    `charset`: what unencoded text may be in that is no UTF-8, as other fields let one guess.
    """
    charsets = (charset,) if isinstance(charset, str) else tuple(charset)
    most = longest * _RAW_PER_CHARACTER
    flat = b" ".join(raw[:most].split())
    if len(raw) > most:
        flat = flat.rpartition(b" ")[0] or flat  # no half of an encoded word
    if _is_plain(flat) and (as_it_stands := flat.decode("ascii")).isprintable():
        return as_it_stands[:longest]  # nearly every field, and a fifth of the time
    text = "".join(
        c if unicodedata.category(c) != "Cc" else " " for c in "".join(_texts(flat, charsets))
    )
    short = " ".join(text.split())[:longest]
    return short.encode("utf-8", "replace").decode()


def _is_plain(raw: bytes) -> bool:
    """Tell whether a field says in any charset what it says in ASCII, and has no encoded word."""
    # Those of seven bits switch by an escape or a tilde (RFC 1468, RFC 1843).
    return raw.isascii() and b"=?" not in raw and b"~" not in raw and b"\x1b" not in raw


def _summary(raw: Mapping[str, bytes], charsets: Iterable[str]) -> Summary:
    longest = {"date": LONGEST_DATE}
    return Summary(
        **{
            NAMES[name]: readable(value, longest.get(name, LONGEST_FIELD), charsets)
            for name, value in raw.items()
        }
    )


def _texts(flat: bytes, charsets: Sequence[str]) -> Iterator[str]:
    """Yield what is between encoded words, and what words of one charset in a row say together: a
    character may be cut in two between them."""
    end, own, said, plain = 0, "", b"", True
    for word in _words(flat):
        between = flat[end : word.start]
        # Blanks between words mean nothing (RFC 2047, section 6.2).
        if own and (between.strip() or word.charset != own):
            yield _word_text(said, own, charsets, plain=plain)
            said, plain = b"", True
        if between.strip() or not end:
            yield likely(between, charsets)
        end, own = word.end, word.charset
        said, plain = said + word.octets, plain and flat[word.start : word.end].isascii()
    if own:
        yield _word_text(said, own, charsets, plain=plain)
    yield likely(flat[end:], charsets)


def _words(flat: bytes) -> Iterator[_Word]:
    """Yield the encoded words in a field; one that was cut may end it."""
    at = 0
    while begin := _BEGINNING.search(flat, at):
        at = begin.end()
        end = flat.find(b"?=", at)
        is_whole = end >= 0
        if not is_whole:
            end = len(flat)
        if end - at > _LONGEST_WORD:
            continue
        text = flat[at:end] if is_whole else _CUT.sub(b"", flat[at:end])
        octets = _octets(begin[2], text)
        if octets is not None:
            at = end + 2 if is_whole else end
            yield _Word(begin.start(), at, begin[1].decode("ascii").lower(), octets)


def _octets(encoding: bytes, text: bytes) -> bytes | None:
    """Return what is encoded; None where nothing is. Bytes that nobody encoded mean themselves
    between quoted characters, and nothing in base64."""
    if encoding in b"qQ":
        return _HEX.sub(lambda found: bytes([int(found[1], 16)]), text.replace(b"_", b" "))
    digits = _NOT_BASE64.sub(b"", text)
    if text and len(digits) < 2:
        return None
    return binascii.a2b_base64(digits[: len(digits) - (len(digits) % 4 == 1)] + b"===")


def _word_text(said: bytes, own: str, charsets: Iterable[str], *, plain: bool) -> str:
    """Decode by the word's own charset; where it cannot be that of all, by what is likely."""
    if plain and codec(own):
        return declared(said, own)
    text = decoded(said, own)
    return likely(said, charsets) if text is None else text


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
