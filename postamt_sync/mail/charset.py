"""Decoding text whose charset is declared correctly, wrongly or not at all, as in header fields.

The name of a charset means what browsers take it to mean (WHATWG, Encoding Standard): for
iso-8859-1, gb2312 or shift_jis that is a superset. Nothing here raises, and everything runs in
linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_MEANT = {
    "us_ascii": "cp1252", "ascii": "cp1252", "ansi_x3_4_1968": "cp1252", "iso646_us": "cp1252",
    "iso_8859_1": "cp1252", "iso8859_1": "cp1252", "latin1": "cp1252", "l1": "cp1252",
    "latin_1": "cp1252", "x_cp1252": "cp1252",
    "iso_8859_9": "cp1254", "iso8859_9": "cp1254", "latin5": "cp1254", "x_cp1254": "cp1254",
    "iso_8859_11": "cp874", "iso8859_11": "cp874", "tis_620": "cp874", "dos_874": "cp874",
    "windows_874": "cp874",
    "iso_8859_8_i": "iso8859_8", "iso_8859_8_e": "iso8859_8", "logical": "iso8859_8",
    "iso_8859_6_i": "iso8859_6", "iso_8859_6_e": "iso8859_6",
    "win_1250": "cp1250", "win_1251": "cp1251", "win_1252": "cp1252",
    "x_cp1250": "cp1250", "x_cp1251": "cp1251", "cp_1251": "cp1251",
    "koi": "koi8_r", "koi8": "koi8_r", "koi8_ru": "koi8_u",
    "gb2312": "gb18030", "gb_2312": "gb18030", "gb_2312_80": "gb18030", "chinese": "gb18030",
    "csgb2312": "gb18030", "gbk": "gb18030", "x_gbk": "gb18030", "cp936": "gb18030",
    "windows_936": "gb18030", "euc_cn": "gb18030",
    "hz_gb_2312": "hz", "hz_gb2312": "hz",
    "big5": "big5hkscs", "big5_hkscs": "big5hkscs", "x_x_big5": "big5hkscs", "cn_big5": "big5hkscs",
    "cp950": "big5hkscs",
    "shift_jis": "cp932", "shiftjis": "cp932", "sjis": "cp932", "x_sjis": "cp932",
    "ms_kanji": "cp932", "windows_31j": "cp932", "x_euc_jp": "euc_jp",
    "iso_2022_jp": "iso2022_jp_ext", "iso2022_jp": "iso2022_jp_ext",
    "csiso2022jp": "iso2022_jp_ext", "iso_2022_jp_2": "iso2022_jp_2",
    "euc_kr": "cp949", "ks_c_5601_1987": "cp949", "ks_c_5601_1989": "cp949", "ksc5601": "cp949",
    "ksc_5601": "cp949", "korean": "cp949", "windows_949": "cp949",
    "macintosh": "mac_roman", "x_mac_roman": "mac_roman", "x_mac_cyrillic": "mac_cyrillic",
    "utf8": "utf_8", "unicode_1_1_utf_8": "utf_8", "x_unicode20utf8": "utf_8",
    "unicode_1_1_utf_7": "utf_7",
}  # fmt: skip
"""The codec that is meant by a name which Python does not know, or takes for another."""

_NOT_FOR_MAIL = frozenset(
    {"idna", "punycode", "raw_unicode_escape", "undefined", "unicode_escape", "mbcs", "oem"}
)
"""Python's codecs that no mail is encoded in; some take quadratic time or emit warnings."""

_LONGEST_NAME = 80
_SIGNS = re.compile("[^a-z0-9]+")
_SEVEN_BIT = ("iso2022", "iso_2022", "hz")
"""How the names of 7-bit charsets begin, which spell every character in ASCII."""
_WIDE = ("gb", "big5", "cp9", "euc", "johab")
_ESCAPES = (b"\x1b", b"~{")
_CHARACTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
"""One multibyte character in UTF-8 (RFC 3629), strict enough for counting."""
_SHIFTS = re.compile(rb"(?:\A|\x1b(\$[@B]|\$\([A-Z]|[(&][@-Z]))([^\x1b]*)")
_PAIRS = re.compile(rb"(?:[\x21-\x7e]{2})+")
_EUC_PAIRS = re.compile(rb"(?:[\xa1-\xfe]{2})+")
_CUT = re.compile(rb"[\xc2-\xf4][\x80-\xbf]{0,2}\Z")
"""The first bytes of one, at the end of a text that was truncated."""
_ASCII = bytes(range(128))


def codec(charset: str) -> str:
    """Return Python's codec for a charset, "" if it is not one that a mail can be encoded in."""
    # Python ignores punctuation when it looks up a codec.
    name = _SIGNS.sub("_", charset.lower()[:_LONGEST_NAME]).strip("_")
    name = _MEANT.get(name, name)
    if not name or name in _NOT_FOR_MAIL:
        return ""
    try:
        b"a".decode(name)  # for empty bytes Python would not look the name up
    except LookupError:  # there is no such codec, or it is not one for text
        return ""
    except ValueError:
        pass
    return name


def decoded(raw: bytes, charset: str) -> str | None:
    """Return the text if every byte of `raw` is valid in this charset, else None."""
    name = codec(charset)
    try:
        return _text(raw, name, "strict") if name else None
    except ValueError:
        return None


def declared(raw: bytes, charset: str, others: Iterable[str] = ()) -> str:
    """Return text that declares its charset, with U+FFFD for what is not valid in it.

    With an unknown charset this is the same as `likely`, to which `others` are passed.
    """
    name = codec(charset)
    return _text(raw, name, "replace") if name else likely(raw, others)


def _text(raw: bytes, name: str, errors: str) -> str:
    """Decode like the codec, and also what vendors added to the Japanese charsets."""
    try:
        return raw.decode(name)
    except ValueError:
        if name == "iso2022_jp_ext":
            return "".join(_japanese(raw, errors))
        if name == "euc_jp":
            return _EUC_PAIRS.sub(_as_shift_jis, raw).decode("cp932", errors)
        return raw.decode(name, errors)


def _japanese(raw: bytes, errors: str) -> Iterator[str]:
    """Yield the parts of a text in ISO-2022-JP (RFC 1468), two-byte ones and others."""
    for part in _SHIFTS.finditer(raw):
        if part[1] in (b"$B", b"$@"):
            yield _PAIRS.sub(_as_shift_jis, part[2]).decode("cp932", errors)
        else:
            yield part[0].decode("iso2022_jp_ext", errors)


def _as_shift_jis(pairs: re.Match[bytes]) -> bytes:
    octets = bytes(byte & 0x7F for byte in pairs[0])
    return b"".join(map(_shifted, octets[::2], octets[1::2]))


def _shifted(first: int, second: int) -> bytes:
    """Convert a byte pair of JIS X 0208 to Shift_JIS."""
    row, odd = divmod(first - 0x21, 2)
    lead = row + (0x81 if row < 0x1F else 0xC1)
    return bytes((lead, second + 0x7E if odd else second + (0x1F if second < 0x60 else 0x20)))


def likely(raw: bytes, charsets: Iterable[str] = ()) -> str:
    """Return text that declares no charset: UTF-8 as such (RFC 6532), even if it is damaged.

    Anything else is read in the first of `charsets` in which it is valid (those that the rest of
    the mail uses, for example), else in windows-1252.
    """
    names = [name for name in map(codec, charsets) if name]
    if raw.isascii():
        return _in_seven_bits(raw, names) or raw.decode("ascii")
    if (text := decoded(raw, "utf-8")) is not None:
        return text
    cut = _CUT.sub(b"", raw)
    if not cut.isascii() and decoded(cut, "utf-8") is not None:
        return raw.decode("utf-8", "replace")
    broken = len(_CHARACTER.sub(b"", raw).translate(None, _ASCII))
    whole = len(raw.translate(None, _ASCII)) - broken
    # A single-byte charset fits anything, so it proves less than characters that are valid UTF-8. A
    # multibyte charset fits less, but some UTF-8 too.
    wide = () if whole > 6 * broken else filter(_is_wide, names)
    text = next((t for name in wide if (t := decoded(raw, name)) is not None), None)
    if text is None and whole > 2 * broken:
        text = raw.decode("utf-8", "replace")
    if text is None:
        text = next((t for name in names if (t := _beyond(raw, name)) is not None), None)
    if text is None:
        damaged = (_text(raw, name, "replace") for name in names if _is_wide(name))
        text = next(filter(_is_mostly_read, damaged), None)
    return raw.decode("cp1252", "replace") if text is None else text


def _beyond(raw: bytes, name: str) -> str | None:
    """Decode, unless the charset is the fallback anyway: then it proves nothing."""
    return None if name in {"cp1252", "utf_8", "utf-8"} else decoded(raw, name)


def _in_seven_bits(raw: bytes, names: Iterable[str]) -> str | None:
    if not any(escape in raw for escape in _ESCAPES):
        return None
    texts = (_text(raw, name, "replace") for name in names if name.startswith(_SEVEN_BIT))
    return next((text for text in texts if _is_mostly_read(text)), None)


def _is_mostly_read(text: str) -> bool:
    return text.count("\N{REPLACEMENT CHARACTER}") * 4 <= len(text)


def _is_wide(name: str) -> bool:
    """Tell whether characters beyond ASCII take several bytes in this codec."""
    return name.startswith(_WIDE)
