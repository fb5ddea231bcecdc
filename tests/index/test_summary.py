"""Header fields as people read them, whatever the sender wrote."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.index.summary import (
    LONGEST_DATE,
    LONGEST_FIELD,
    Summary,
    readable,
    summary_of_head,
    summary_of_receipt,
)
from tests.doubles.notices import HEADERS, stored


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b" hello", "hello"),
        (b" =?utf-8?q?J=C3=BCrgen?= <j@d.example>", "Jürgen <j@d.example>"),
        (b" =?ISO-8859-1?B?S/ZsbiE=?=", "Köln!"),
        (b" =?utf-8*de?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),  # RFC 2231: with its language
        (b" =?utf-8?q?a?=\r\n =?utf-8?q?b?=", "ab"),  # RFC 2047 section 6.2
        (b" =?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),  # cut in two, against the RFC, and common
        (b" a =?utf-8?q?b?= c", "a b c"),
        (b" =?utf-8?q?two words?=", "two words"),  # the space is against the RFC
        (" Grüße".encode(), "Grüße"),  # RFC 6532
        (" Grüße €".encode("cp1252"), "Grüße €"),
        ("Ångström =?utf-8?q?=C3=BC?= C:\\users".encode(), "Ångström ü C:\\users"),
        (b" =?x-unknown?q?caf=C3=A9?=", "café"),
        (b" =?x-unknown?q?caf=E9?=", "café"),
        (b" =?rot13?q?uryyb?=", "uryyb"),
        (b" =?unicode_escape?q?=5Cx41?=", "\\x41"),
        (b" =?utf-8?q?=FF?=", "\ufffd"),
        (b" =?utf-8?b?x?=", "=?utf-8?b?x?="),
        ("=?utf-8?q?Grüße?=".encode(), "Grüße"),  # 8-bit text where none may be
        ("=?utf-8?q?Gr=C3=BC\xdfe?=".encode("latin-1"), "GrÃ¼ße"),
        ("=?iso-8859-1?q?Gr=FC\xdfe?=".encode("latin-1"), "Grüße"),
        ("=?utf-8?b?R3LDvMOf\xfcZQ==?=".encode("latin-1"), "Grüße"),
        (b"=?utf-8?q?caf=C3?=", "caf\ufffd"),  # cut within a character
        (b"=?utf-8?q?why??= =?utf-8?q?_not?=", "why? not"),
        (b"=?utf-8?q?a?= =?latin1?q?=FC?=", "aü"),
        (b" =?utf-7?q?+2AA-?=", "?"),  # half of a surrogate pair
        (b" a\r\n\tb\x00c\x1b[31m", "a b c [31m"),
        (b" =?utf-8?q?a=0D=0Ab?=", "a b"),
        (b"=?utf-8?b?R3LDvMOfZ?=", "Grüß"),  # a digit of base64 too much
        (b"=?utf-8?b?R3LD vMOfZQ?=", "Grüße"),
        (b"Re: =?utf-8?q?Gr=C3=BC=C3=9Fe_=C", "Re: Grüße"),  # cut before its end
        (b"=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
        (b"=?iso-8859-1?q?=93a=94?=", "\u201ca\u201d"),
        (b"=?gb2312?b?6UY=?=", "\u9555"),
        ("Grüße, wirklich".encode()[:8] + b"\xff", "Grüße,\ufffd"),
        (b"", ""),
    ],
)
def test_a_field_is_decoded(raw: bytes, text: str) -> None:
    assert readable(raw) == text


def test_a_field_is_cut_at_its_limit() -> None:
    assert readable(b"x" * 100_000) == "x" * LONGEST_FIELD
    assert readable("😀".encode() * LONGEST_FIELD) == "😀" * LONGEST_FIELD
    word = b"=?utf-8?b?8J+YgA==?= "  # 21 bytes for one character: less than the limit is read
    assert set(readable(word * 10_000)) == {"😀"}


@given(
    st.binary(max_size=400)
    | st.text(alphabet="=?utf-8bqBQ_ A\r\n\\x", max_size=200).map(str.encode)
)
def test_whatever_a_field_holds_becomes_one_line_of_text(raw: bytes) -> None:
    text = readable(raw, 50)
    assert len(text) <= 50
    assert text.encode().decode() == text
    assert not [c for c in text if ord(c) < 32 or 0x7F <= ord(c) < 0xA0]


def test_the_summary_of_a_stored_mail() -> None:
    assert summary_of_head(stored()) == Summary(
        from_="Jürgen <juergen@sender.example>",
        to="list@other.example",
        cc="cc@other.example",
        subject="Guten Tag, Köln",
        date="Mon, 2 Nov 2026 11:11:10 +0100",
    )


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_of_fields_that_come_twice_the_first_counts_and_the_body_is_no_header(
    line_end: str,
) -> None:
    lines = ["subject: one", " and a half", "SUBJECT: two", "X-From: x", "", "To: body@d.example"]
    assert summary_of_head(line_end.join(lines).encode()) == Summary(subject="one and a half")


def test_a_date_is_kept_as_it_was_written_and_need_not_be_there() -> None:
    assert summary_of_head(b"Date: tomorrow at noon\n\n").date == "tomorrow at noon"
    assert summary_of_head(b"Date: " + b"9" * 500 + b"\n\n").date == "9" * LONGEST_DATE
    assert summary_of_head(b"From: a\n\n").date is None


@pytest.mark.parametrize("head", [b"", b"\x00\xff", b"no header at all", b"From", b"From:\n"])
def test_what_is_no_mail_has_an_empty_summary_or_an_empty_field(head: bytes) -> None:
    assert summary_of_head(head) in {Summary(), Summary(from_="")}


def test_a_receipt_tells_the_same_as_the_mail_itself() -> None:
    headers = [{"name": name, "value": value} for name, value in HEADERS.items()]
    assert summary_of_receipt({"headers": headers}) == summary_of_head(stored())


def test_common_headers_fill_in_what_the_headers_lack() -> None:
    mail = {
        "headers": [{"name": "FROM", "value": "a@d.example"}, {"name": "From", "value": "b@d"}],
        "commonHeaders": {"from": ["c@d"], "to": ["x@d.example", "y@d.example"], "subject": "s"},
    }
    assert summary_of_receipt(mail) == Summary("a@d.example", "x@d.example, y@d.example", None, "s")


@pytest.mark.parametrize(
    "mail",
    [
        {},
        {"headers": None, "commonHeaders": None},
        {"headers": "From", "commonHeaders": ["from"]},
        {"headers": [None, 1, {"name": "From"}, {"name": 1, "value": 2}]},
        {"commonHeaders": {"from": [1, None, ""], "subject": 7, "date": None, "other": "x"}},
    ],
)
def test_what_is_not_of_the_documented_form_counts_as_absent(mail: dict[str, object]) -> None:
    assert summary_of_receipt(mail) == Summary()


def test_a_lone_surrogate_in_a_receipt_is_replaced() -> None:
    assert summary_of_receipt({"commonHeaders": {"subject": "a\ud800b"}}).subject == "a?b"


@pytest.mark.parametrize(
    ("subject", "charset"),
    [
        ("Привет", "koi8-r"),
        ("Привет", "windows-1251"),
        ("こんにちは", "iso-2022-jp"),
        ("こんにちは", "Shift_JIS"),
        ("你好", "gb18030"),
        ("你好", "big5"),
        ("Zażółć", "iso-8859-2"),
        ("Grüße", "utf-8"),
    ],
)
@pytest.mark.parametrize("declared", ["", "first part"])
def test_raw_text_is_in_the_charset_of_the_content(
    subject: str, charset: str, declared: str
) -> None:
    content = f'Content-Type: text/plain; charset="{charset}"\n'
    if declared == "first part":
        content = f"Content-Type: multipart/mixed; boundary=b\n\n--b\n{content}"
    head = b"Subject: " + subject.encode(charset) + b"\n" + content.encode() + b"\nbody"
    assert summary_of_head(head).subject == subject


@pytest.mark.parametrize("charset", ["rot13", "unicode_escape", "x-unknown", "", "utf-16", "idna"])
def test_a_charset_that_does_not_fit_is_no_evidence(charset: str) -> None:
    head = b"Subject: Gr\xfc\xdfe!\nContent-Type: text/plain; charset=" + charset.encode() + b"\n\n"
    assert summary_of_head(head).subject == "Grüße!"


@pytest.mark.parametrize(
    "piece", [b"=?utf-8?q?", b"=?a?q?b ", b"=?a*", b"=?a?b?", b"\x1b$B", b"\r"]
)
def test_many_words_that_never_end_are_read_in_linear_time(piece: bytes) -> None:
    assert readable(piece * 20_000, charset="iso-2022-jp") is not None
    head = b"Subject: s\nX: " + piece * 20_000 + b"\n\n"
    assert summary_of_head(head).subject == "s"


def test_another_fields_charset_is_evidence_too() -> None:
    raw = "Привет".encode("koi8-r")
    head = b"From: =?KOI8-R?B?8NLJ18XU?= <a@d.example>\r\nSubject: " + raw + b"\r\n\r\n"
    assert summary_of_head(head).subject == "Привет"


def test_line_ends_of_old_macs_where_nothing_else_ends_the_header() -> None:
    head = b"Return-Path: <>\r\nFrom: a\rSubject: s\r\rSubject: body"
    assert summary_of_head(head) == Summary(from_="a", subject="s")
    assert summary_of_head(b"Subject: a\rb\r\n\r\n").subject == "a b"


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        (b"Tea at five?", "hz-gb-2312", "Tea at five?"),
        (b"~{<:Ky2;~}", "hz-gb-2312", "\u5df1\u6240\u4e0d"),
        (b"\x1b$B%F%9%H\x1b(B", "iso-2022-jp", "\u30c6\u30b9\u30c8"),
        (b"a\x00b\x7fc", "", "a b c"),
        (b"  folded\r\n\tfield  here ", "", "folded field here"),
        (b"a = ?b?q?c?=", "", "a = ?b?q?c?="),
        (b"x" * 2000, "", "x" * LONGEST_FIELD),
        (b"", "", ""),
    ],
)
def test_what_looks_plain_is_read_as_such_only_where_it_is(
    raw: bytes, charset: str, text: str
) -> None:
    assert readable(raw, charset=charset) == text
