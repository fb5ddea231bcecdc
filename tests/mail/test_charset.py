"""Bytes whose charset is told rightly, wrongly or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.mail.charset import codec, declared, decoded, likely

THAI = "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01"
NAMES = st.sampled_from(["", "utf-8", "gb2312", "iso-2022-jp", "euc-jp", "koi8-r", "hz", "x", "\0"])


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        ("ISO-8859-1", b"\x93caf\xe9\x94 \x80", "\u201ccaf\xe9\u201d \u20ac"),
        ("iso 8859:1", b"\x93x\x94", "\u201cx\u201d"),
        ("ANSI_X3.4-1968", b"caf\xe9", "caf\xe9"),
        ("us-ascii", b"caf\xe9", "caf\xe9"),
        ("GB2312", "\u9555".encode("gbk"), "\u9555"),
        ("ks_c_5601-1987", "\ub620".encode("cp949"), "\ub620"),
        ("Shift_JIS", b"\x87\x40", "\u2460"),
        ("euc-jp", b"\xad\xa1", "\u2460"),
        ("iso-2022-jp", b"\x1b$B-!\x1b(B", "\u2460"),
        ("iso-2022-jp", b"\x1b$B", ""),
        ("koi8-ru", b"\xf0\xd2\xc9", "\u041f\u0440\u0438"),
        ('"utf8"', b"\xc3\xbc", "\xfc"),
        ("hz-gb-2312", b"~{<:Ky2;~}", "\u5df1\u6240\u4e0d"),
        ("utf-8", b"a\xff", "a\ufffd"),
        ("nobody-knows", "\u0436".encode(), "\u0436"),
    ],
)
def test_a_name_means_what_senders_mean_by_it(charset: str, raw: bytes, text: str) -> None:
    assert declared(raw, charset) == text


@pytest.mark.parametrize(
    "name", ["", "rot13", "unicode_escape", "idna", "hex", "x\0", "\u00fc", "x" * 500, "undefined"]
)
def test_what_is_no_charset_of_a_mail(name: str) -> None:
    assert codec(name) == ""
    assert decoded(b"a", name) is None
    assert declared(b"\xc3\xbc", name) == "\xfc"


@pytest.mark.parametrize(
    ("raw", "charsets", "text"),
    [
        (b"plain", ["utf-16"], "plain"),
        ("\u041f\u0440".encode("koi8-r"), ["us-ascii", "utf-8", "koi8-r"], "\u041f\u0440"),
        ("Gr\xfc\xdfe".encode()[:-2], ["iso-8859-1"], "Gr\xfc\ufffd"),
        ("\u65e5\u672c\u8a9e".encode()[:-1], ["gb18030"], "\u65e5\u672c\ufffd"),
        ("\u65e5\u672c\u8a9e".encode() + b"\xff!", [], "\u65e5\u672c\u8a9e\ufffd!"),
        ("Gr\xfc\xdfe".encode("latin-1"), ["utf-8"], "Gr\xfc\xdfe"),
        ("\u4f60\u597d".encode("gbk"), ["big5-nonsense", "gb2312"], "\u4f60\u597d"),
        (THAI.encode("cp874"), ["tis-620"], THAI),
        (b"\x1b$B$3\x1b(B", ["iso-2022-jp"], "\u3053"),
        (b"\x1b$B$3\x1b(B", [], "\x1b$B$3\x1b(B"),
        (b"a ~{<:Ky~} b", [], "a ~{<:Ky~} b"),
        ("\u4f60\u597d\u4e16\u754c".encode("gbk")[:-1], ["gb2312"], "\u4f60\u597d\u4e16\ufffd"),
        (b"\x81\x8d\xff", [], "\ufffd\ufffd\xff"),
    ],
)  # fmt: skip
def test_what_nobody_tells_is_what_is_likely(raw: bytes, charsets: list[str], text: str) -> None:
    assert likely(raw, charsets) == text


@given(st.binary(max_size=60), st.lists(NAMES, max_size=3), NAMES)
def test_nothing_raises(raw: bytes, charsets: list[str], own: str) -> None:
    assert isinstance(likely(raw, charsets), str)
    assert isinstance(declared(raw, own, charsets), str)
