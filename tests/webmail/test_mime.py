"""Parts, charsets and file names of mails that nobody should have written."""

from __future__ import annotations

import base64
import random
import time
import tracemalloc

import pytest

from postamt_sync.webmail.charsets import charset_in_html, decoded
from postamt_sync.webmail.mail_content import MailAddress, open_mail, read_addresses
from postamt_sync.webmail.mime import DEEPEST, MOST_PARTS, find, harmless_name, parse


def mail(text: str, end: str = "\r\n") -> bytes:
    return text.strip("\n").replace("\n", end).encode()


TWO = """
From: a@b.example
Content-Type: multipart/mixed; boundary="x y"

preamble
--x y
Content-Type: text/plain

first

--x y
Content-Type: application/octet-stream; name=a.bin
Content-Transfer-Encoding: base64

AAEC
--x y--
epilogue
"""


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_parts_are_found(end: str) -> None:
    root = parse(mail(TWO, end))
    assert root.type == "multipart/mixed"
    one, two = root.children
    assert (one.path, one.type, one.content) == ("1", "text/plain", f"first{end}".encode())
    assert (two.path, two.filename, two.content) == ("2", "a.bin", b"\x00\x01\x02")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("--x y--\n", ""),  # no end
        ("--x y\nContent", "--x y  \t\nContent"),  # space behind a boundary
        ("epilogue", "--x y\n\nmore"),  # what follows the end
        ("preamble\n", ""),
    ],
)
def test_nearly_right_boundaries_do(before: str, after: str) -> None:
    root = parse(mail(TWO.replace(before, after)))
    assert [part.type for part in root.children] == ["text/plain", "application/octet-stream"]


@pytest.mark.parametrize("wrong", ['boundary="other"', "", "boundary=", 'boundary=""'])
def test_without_a_right_boundary_it_is_shown_as_text(wrong: str) -> None:
    content = open_mail(mail(TWO.replace('boundary="x y"', wrong)))
    assert content is not None
    assert "first" in content.plain[0].text


def test_a_boundary_within_a_line_is_none() -> None:
    raw = mail(TWO.replace("first", "a --x y\n--x yz"))
    assert parse(raw).children[0].content == b"a --x y\r\n--x yz\r\n"


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        ("base64", "aGVsbG8=", b"hello"),
        ("base64", "aGVs\n bG8", b"hello"),
        ("base64", "aGVsbG8=aGVsbG8=", b"hellohello"),
        ("base64", "aG!Vs*bG8=\n-- \nlist footer?", None),
        ("base64", "a", b""),
        ("base64", "====", b""),
        ("BASE64 ; x", "aGVsbG8=", b"hello"),
        ("quoted-printable", "=C3=A4=\n b=ZZ=", None),
        ("quoted-printable", "a=3Db", b"a=b"),
        ("x-uuencode", "begin 644 x\n%:&5L;&\\\nend", b"hello"),
        ("8bit", "h\xe4", "hä".encode()),
        ("nonsense", "hello", b"hello"),
        ("", "hello", b"hello"),
    ],
)
def test_transfer_encodings(encoding: str, body: str, content: bytes | None) -> None:
    raw = mail(f"Content-Transfer-Encoding: {encoding}\n\n{body}")
    found = parse(raw).content
    if content is not None:
        assert found == content


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ('attachment; filename="a b.pdf"', "a b.pdf"),
        ("attachment; filename=a.pdf", "a.pdf"),
        ("attachment; filename*=utf-8''%e2%82%ac.pdf", "€.pdf"),
        ("attachment; filename*0=long; filename*1=er.pdf", "longer.pdf"),
        ("attachment; filename*0*=utf-8''%c3; filename*1*=%a4.pdf", "ä.pdf"),
        ('attachment; filename="=?utf-8?q?=C3=A4.pdf?="', "ä.pdf"),
        ('attachment; filename="../../etc/passwd"', "_.._etc_passwd"),
        ('attachment; filename="C:\\\\x\\\\y.exe"', "C__x_y.exe"),
        ('attachment; filename="gpj.\u202eexe"', "gpj._exe"),
        ('attachment; filename="a\tb"', "a b"),
        ('attachment; filename=".."', ""),
        (f'attachment; filename="bill.pdf{" " * 90}.exe"', "bill.pdf .exe"),
        ("attachment; filename*=utf-8''a%c2%a0%e2%80%8b.pdf", "a _.pdf"),
        ("attachment; filename*=utf-8''%2e%2e%5c%2e%2e%5ca.lnk", "_.._a.lnk"),
        ("attachment; filename*=utf-8''a.png%00.html%0d%0aX:%20y", "a.png.html X_ y"),
        ("attachment; filename*=nonsense''%ff", "ÿ"),
        ("attachment; filename*=utf-16''%00", "\ufffd"),
        ('attachment; filename="unfinished', "unfinished"),
        ("attachment;;;filename", ""),
    ],
)
def test_file_names_are_read_and_made_harmless(field: str, name: str) -> None:
    raw = mail(f"Content-Type: text/plain\nContent-Disposition: {field}\n\nx")
    assert parse(raw).filename == name


def test_a_long_name_keeps_what_it_ends_in() -> None:
    assert harmless_name("x" * 500 + ".pdf").endswith("x.pdf")
    assert len(harmless_name("x" * 500 + ".pdf")) <= 120
    assert harmless_name("a" * 5 + "." + "b" * 500) == ("aaaaa." + "b" * 500)[:120]


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        ("Grüße".encode(), "utf-8", "Grüße"),
        ("Grüße".encode(), "iso-8859-1", "Grüße"),  # wrong
        ("Grüße".encode(), "", "Grüße"),
        ("Grüße".encode("latin-1"), "", "Grüße"),
        ("Grüße".encode("latin-1"), "utf-8", "Grüße"),  # wrong
        ("Grüße".encode("latin-1"), "us-ascii", "Grüße"),
        ("„x“".encode("cp1252"), "iso-8859-1", "„x“"),
        ("Привет".encode("koi8-r"), "koi8-r", "Привет"),
        ("你好".encode("gb18030"), "gb2312", "你好"),
        ("日本".encode("iso-2022-jp"), "ISO-2022-JP", "日本"),
        ("日本".encode("cp932"), "shift_jis", "日本"),
        ("한국".encode("cp949"), "ks_c_5601-1987", "한국"),
        ("x€".encode("utf-16"), "", "x€"),
        (b"\xef\xbb\xbfx", "latin-1", "x"),
        ("Grüße".encode("latin-1"), "nonsense", "Grüße"),
        ("Grüße".encode("latin-1"), "rot13", "Grüße"),
        ("Grüße".encode("latin-1"), "unicode_escape", "Grüße"),
        ("Grüße".encode("latin-1"), "idna", "Grüße"),
        ("Grüße".encode("latin-1"), "\0", "Grüße"),
        ("Grüße".encode("latin-1"), "x" * 9_999, "Grüße"),
        (b"a\x00b\x1bc\x85", "latin-1", "abc…"),
        (b"a\r\nb\rc\nd", "", "a\nb\nc\nd"),
        ("a".encode("utf-7") + b"+AOQ-", "utf-7", "aä"),
        ("äöü".encode() + b"\xff" + "äöü".encode(), "utf-8", "äöü\ufffdäöü"),
        (b"\xed\xa0\x80", "utf-8", None),
        (b"\xd8\x00", "utf-16-be", None),
    ],
)
def test_charsets_right_wrong_unknown_and_missing(
    raw: bytes, charset: str, text: str | None
) -> None:
    found = decoded(raw, charset)
    found.encode()
    if text is not None:
        assert found == text


def test_html_may_name_its_charset_itself() -> None:
    assert charset_in_html(b'<meta charset="koi8-r">') == "koi8-r"
    assert charset_in_html(b"<p>") == ""


def test_alternatives_are_two_versions_of_one_text() -> None:
    content = open_mail(
        mail(
            """
Content-Type: multipart/alternative; boundary=b

--b
Content-Type: text/plain

plain
--b
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html

<b>rich</b><img src="cid:logo">
--r
Content-Type: image/png
Content-ID: <logo>

png
--r--
--b--
"""
        )
    )
    assert content is not None
    assert [piece.text for piece in content.plain] == ["plain"]
    assert [piece.is_html for piece in content.rich] == [True]
    assert [(a.path, a.inline, a.part.content_id) for a in content.attachments] == [
        ("2.2", True, "logo")
    ]


def test_an_attached_text_is_no_body() -> None:
    content = open_mail(
        mail(
            """
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain
Content-Disposition: attachment; filename=notes.txt

notes
--b
Content-Type: text/html
Content-Disposition: attachment; filename=page.html

<p>
--b

body
--b--
"""
        )
    )
    assert content is not None
    assert [piece.text for piece in content.plain] == ["body"]
    assert not content.has_html
    assert [a.name for a in content.attachments] == ["notes.txt", "page.html"]


def test_a_mail_within_a_mail_within_a_mail_is_opened() -> None:
    inner = "Subject: innermost\n\ndeep text"
    for level in range(3):
        inner = f"""
Subject: level {level}
Content-Type: multipart/mixed; boundary=b{level}

--b{level}

text of {level}
--b{level}
Content-Type: message/rfc822

{inner.strip()}
--b{level}--
"""
    raw = mail(inner)
    outer = open_mail(raw)
    assert outer is not None
    assert [(a.path, a.name, a.is_mail) for a in outer.attachments] == [("2", "level 1.eml", True)]
    middle = open_mail(raw, "2")
    assert middle is not None
    assert middle.attachments[0].path == "2:2"
    deepest = open_mail(raw, "2:2:2")
    assert deepest is not None
    assert deepest.plain[0].text == "deep text"
    assert deepest.head.words("subject") == "innermost"
    assert open_mail(raw, "1") is None
    assert open_mail(raw, "2:9") is None
    assert find(raw, ":".join("2" * 50)) is None


def test_an_invitation_is_read_as_text() -> None:
    content = open_mail(
        mail(
            r"""
Content-Type: text/calendar; method=REQUEST

BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VEVENT
SUMMARY:Dinner\, at eight
DTSTART;TZID=Europe/Berlin:20261201T200000
DTEND:20261201T210000Z
LOCATION:Home;
 garden
ORGANIZER;CN="Anna":mailto:anna@example.com
ATTENDEE;PARTSTAT=ACCEPTED:mailto:b@example.com
DESCRIPTION:Bring\nwine
END:VEVENT
END:VCALENDAR
"""
        )
    )
    assert content is not None
    text = content.plain[0].text
    for words in (
        "Invitation",
        "What: Dinner, at eight",
        "Begins: Tue 01 Dec 2026, 20:00 (Europe/Berlin)",
        "Ends: Tue 01 Dec 2026, 21:00 UTC",
        "By: Anna <anna@example.com>",
        "Bring\nwine",
        "b@example.com (accepted)",
    ):
        assert words in text
    assert content.attachments[0].name.endswith(".ics")


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (b"a@b.example", [MailAddress("", "a@b.example")]),
        (b"=?utf-8?q?J=C3=BC?= <j@b.example>", [MailAddress("Jü", "j@b.example")]),
        (b'"Last, First" <x@y.example>, z@y.example', [
            MailAddress("Last, First", "x@y.example"), MailAddress("", "z@y.example")]),
        ("Jürgen <j@b.example>".encode(), [MailAddress("Jürgen", "j@b.example")]),
        (b"undisclosed-recipients:;", []),
        (b"", []),
        (b"(" * 60_000, []),
        (b"\xff\xfe <", []),
    ],
)  # fmt: skip
def test_addresses(field: bytes, found: list[MailAddress]) -> None:
    assert list(read_addresses(field)) == found


def test_many_addresses_take_no_time() -> None:
    began = time.process_time()
    assert len(read_addresses(b", ".join(b"p%d@example.com" % n for n in range(20_000)))) == 300
    read_addresses(b'"' * 16_000)
    read_addresses(b"<" * 16_000)
    assert time.process_time() - began < 5


class TestBounds:
    def test_levels(self) -> None:
        raw = b""
        for n in range(1_300):
            raw += b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n)
        assert max(p.path.count(".") for p in parse(raw).walk()) <= DEEPEST
        assert open_mail(raw) is not None

    def test_parts(self) -> None:
        raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 30_000
        assert len(parse(raw).children) <= MOST_PARTS
        content = open_mail(raw)
        assert content is not None

    @pytest.mark.parametrize(
        "head",
        [
            b"X: " + b"a\n " * 300_000,
            b"X:" * 500_000,
            b"\n".join(b"X%d: y" % n for n in range(100_000)),
            b'Content-Type: text/plain; x="' * 50_000,
            b"Content-Type: multipart/mixed; boundary=b;" + b' x="\\' * 50_000,
            b"Content-Disposition: attachment; " + b"filename*%d*=a;" % 1 * 50_000,
            b"Subject: " + b"=?utf-8?b?" * 50_000,
            b"Content-Type: " + b"/" * 500_000,
        ],
    )
    def test_long_headers(self, head: bytes) -> None:
        began = time.process_time()
        content = open_mail(head + b"\n\nbody")
        assert content is not None
        content.head.words("subject")
        assert time.process_time() - began < 5


PIECES = [
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b'Content-Type: multipart/alternative; boundary="b\r\n',
    b"Content-Type: multipart/related; boundary=b; start=<x>\r\n",
    b"Content-Type: text/html; charset=utf-7\r\n",
    b"Content-Type: text/calendar\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: \xff/\x00\r\n",
    b'Content-Type: text/plain; charset="\xe4\r\n',
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Transfer-Encoding: x-uuencode\r\n",
    b"Content-Disposition: attachment; filename*0*=x'; filename*=%\r\n",
    b"Content-ID: <x>\r\n",
    b"Subject: =?utf-8?q?=?= =?x?b?====?=\r\n",
    b'From: "<@>(((,;:\r\n',
    b"--b\r\n", b"--b--\r\n", b"\r\n", b"\n", b"\r", b"\x00", b"<html><style></p><svg>",
    b"BEGIN:VEVENT\nDTSTART;TZID=:x\nEND:VEVENT\n", b"=\r\n=ZZ", b"begin 644 x\nM\n", b"\xff\xd8",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_no_broken_mail_is_refused(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(150):
        raw = b"".join(chance.choices(PIECES, k=chance.randrange(60)))
        content = open_mail(raw)
        assert content is not None
        for each in content.attachments:
            part = find(raw, each.path)
            assert part is not None
            assert part.content == each.part.content
        for piece in (*content.plain, *content.rich):
            piece.text.encode()


def nested(levels: int, body: bytes) -> bytes:
    """Return a body within multiparts that each hold the next one alone."""
    heads = [
        b"Content-Type: multipart/mixed; boundary=%s\n\n--%s\n" % (mark, mark)
        for mark in (b"-" * number for number in range(levels, 0, -1))
    ]
    return b"".join(heads) + body


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("base64", b"AA="),
        ("base64", b"A="),
        ("base64", b"===="),
        ("base64", b"\n"),
        ("x-uuencode", b"\n"),
        ("x-uuencode", b"a\n"),
        ("quoted-printable", b"=\n"),
        ("quoted-printable", b"=41"),
        ("8bit", b"-"),
        ("8bit", b"\n-----"),
        ("8bit", b"\n------------------------------- \tx"),
        ("8bit", b"\n--" + b" " * 300 + b"x"),
    ],
    ids=repr,
)
def test_what_was_made_to_exhaust_us_takes_little(encoding: str, body: bytes) -> None:
    size = 3_000_000
    whole = (body * (size // len(body) + 1))[:size]
    plain = f"Content-Type: text/plain\nContent-Transfer-Encoding: {encoding}\n\n".encode() + whole
    began = time.process_time()
    assert open_mail(plain) is not None
    raw = nested(30, whole * 4)
    content = open_mail(raw)
    assert content is not None
    assert all(each.part.content is not None for each in content.attachments)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("body", [b"A=", b"AA=", b"="])
def test_padding_everywhere_takes_little_memory(body: bytes) -> None:
    raw = b"Content-Type: a/b\nContent-Transfer-Encoding: base64\n\n" + body * 100_000
    part = parse(raw)
    tracemalloc.start()
    try:
        assert part.content is not None
        assert tracemalloc.get_traced_memory()[1] < 5 * len(raw)
    finally:
        tracemalloc.stop()


def test_base64_of_two_that_were_joined() -> None:
    for first in (b"AAEC", b"AAE=", b"AA=="):
        raw = b"Content-Type: x/y\nContent-Transfer-Encoding: base64\n\n" + first + b"\nAwQF"
        assert parse(raw).content == base64.b64decode(first) + b"\x03\x04\x05"


def test_a_boundary_may_have_space_and_nothing_else_behind_it() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\n\n"
    for end in (b"", b" \t", b"\r", b" " * 500):
        raw = head + b"--b%b\n\none\n--b%b\n\ntwo\n--b--%b" % (end, end, end)
        assert [part.content for part in parse(raw).children] == [b"one", b"two"]
    raw = head + b"--b\n\none\n--bx\n--b-\n --b\n--b--x\n--b --\n\nrest"
    (one,) = parse(raw).children
    assert one.content == b"one\n--bx\n--b-\n --b\n--b--x"


def test_an_attachment_among_alternatives_is_there() -> None:
    content = open_mail(
        mail(
            """
Content-Type: multipart/alternative; boundary=b

--b

plain
--b
Content-Type: text/html

<p>rich
--b
Content-Type: text/plain
Content-Disposition: attachment; filename=notes.txt

notes
--b--
"""
        )
    )
    assert content is not None
    assert [each.name for each in content.attachments] == ["notes.txt"]


def test_a_large_attachment_is_the_same_to_the_byte() -> None:
    content = random.Random(1).randbytes(3_000_000)
    raw = mail(TWO).replace(b"AAEC", base64.encodebytes(content))
    part = find(raw, "2")
    assert part is not None
    assert part.content == content
    assert abs(part.size - len(content)) < len(content) / 50
