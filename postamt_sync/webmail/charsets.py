"""Decoding text whose charset is right, wrong, unknown or missing. It never fails."""

from __future__ import annotations

import codecs
import re

from postamt_sync.mail.charset import codec, declared

UTF_8 = "utf_8"
_UNKNOWN = frozenset({"x-unknown", "unknown-8bit"})
"""Charsets of senders that did not know it either. Most of what is sent is UTF-8."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_LINE_ENDS = re.compile("\r\n?|\f")
_IN_HTML = re.compile(rb"""charset[ \t]*=[ \t]*["']?([A-Za-z0-9_.:-]{1,60})""", re.IGNORECASE)


def decoded(raw: bytes, charset: str = "") -> str:
    """Return the text: as UTF-8 if it is valid, else as declared, else as is most likely.

    Line ends are newlines, other control characters are removed, and there are no surrogates.
    """
    known = charset.strip().lower() not in _UNKNOWN
    return clean(_decoded(raw, codec(charset) if known else UTF_8))


def charset_in_html(raw: bytes) -> str:
    """Return the charset that HTML declares at its beginning, "" if there is none."""
    found = _IN_HTML.search(raw[:2_048])
    return found[1].decode("ascii") if found else ""


def clean(text: str) -> str:
    """Make untrusted text, of many lines, fit to be shown and written as JSON."""
    flat = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", flat)


def _decoded(raw: bytes, charset: str) -> str:
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(name, "replace")
    # Escapes in ASCII (iso-2022-jp, utf-7, hz) are valid UTF-8 too, and mean something else.
    if charset.startswith(("iso_2022", "iso2022", "utf_7", "utf_16", "utf_32", "hz")):
        return declared(raw, charset)
    text = _strictly(raw, UTF_8)
    if text is None and charset not in {"", UTF_8}:
        text = _strictly(raw, charset)
    if text is not None:
        return text
    lenient = raw.decode(UTF_8, "replace")
    if charset == UTF_8 and lenient.count("\N{REPLACEMENT CHARACTER}") * 4 < _beyond_ascii(raw):
        return lenient  # damaged here and there
    # Not `declared`, which makes something of every byte: damage should be visible.
    return raw.decode(charset if charset not in {"", UTF_8} else "cp1252", "replace")


def _strictly(raw: bytes, charset: str) -> str | None:
    try:
        return raw.decode(charset)
    except ValueError:
        return None


def _beyond_ascii(raw: bytes) -> int:
    return len(raw.translate(None, bytes(range(128))))
