"""Text out of bytes whose charset is right, wrong, unknown or missing: it never fails."""

from __future__ import annotations

import codecs
import re

_WIDER = {
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb-2312": "gb18030",
    "x-gbk": "gb18030",
    "ks_c_5601-1987": "cp949",
    "ks-c-5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "big5": "big5hkscs",
    "macintosh": "mac-roman",
    "x-mac-roman": "mac-roman",
    "unicode-1-1-utf-7": "utf-7",
    "utf8": "utf-8",
    "x-unknown": "utf-8",
    "unknown-8bit": "utf-8",
}
"""The superset that is meant by a name, as browsers have it (WHATWG, Encoding Standard)."""
_NOT_FOR_MAIL = frozenset(
    {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "mbcs", "oem"}
)
_LONGEST_NAME = 60
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
    """Return the text: valid UTF-8 as such whatever is claimed, then as claimed, then as likely.

    Line ends are one newline each, other control characters are gone, and it can be encoded.
    """
    return clean(_decoded(raw, _python_name(charset)))


def charset_in_html(raw: bytes) -> str:
    """Return the charset that HTML claims of itself at its beginning, "" if none."""
    found = _IN_HTML.search(raw[:2_048])
    return found[1].decode("ascii") if found else ""


def clean(text: str) -> str:
    """Make foreign text fit to be shown over many lines and written as JSON."""
    flat = _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", flat)


def _decoded(raw: bytes, charset: str) -> str:
    for mark, name in _MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(name, "replace")
    # Escapes in ASCII (iso-2022-jp, utf-7, hz) are valid UTF-8 too, and mean something else.
    if charset.startswith(("iso-2022", "iso2022", "utf-7", "utf-16", "utf-32", "hz")):
        return raw.decode(charset, "replace")
    text = _strictly(raw, "utf-8")
    if text is None and charset != "utf-8":
        text = _strictly(raw, charset)
    if text is not None:
        return text
    lenient = raw.decode("utf-8", "replace")
    if charset == "utf-8" and lenient.count("\N{REPLACEMENT CHARACTER}") * 4 < _beyond_ascii(raw):
        return lenient  # damaged here and there
    if charset not in {"", "utf-8"}:
        return raw.decode(charset, "replace")
    return raw.decode("cp1252", "replace")


def _python_name(charset: str) -> str:
    """Return a codec's name that can be used, "" for an unknown one."""
    name = charset.strip().strip("\"'").lower()[:_LONGEST_NAME]
    name = _WIDER.get(name, name)
    if not name.isascii() or "\0" in name or name.replace("_", "-") in _NOT_FOR_MAIL:
        return ""
    try:
        b"a".decode(name)  # of no bytes at all the name is not looked up
    except LookupError:  # no codec, or none of text
        return ""
    except ValueError:
        pass
    return name


def _strictly(raw: bytes, charset: str) -> str | None:
    if not charset:
        return None
    try:
        return raw.decode(charset)
    except ValueError:
        return None


def _beyond_ascii(raw: bytes) -> int:
    return len(raw.translate(None, bytes(range(128))))
