"""One mail read: text, HTML, attachments, nested mails, source."""

from __future__ import annotations

import base64
import json
import random
import time
import tracemalloc

import pytest

from postamt_sync.mail.arrival import Verdicts
from tests.doubles.webmail import WebBrowser, WebmailScene
from tests.doubles.webmail_ports import MemoryDay
from tests.webmail.test_mime import PIECES, mail

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
NEWSLETTER = mail(
    """
From: =?utf-8?q?J=C3=BCrgen?= <j@b.example>
To: anna@example.com, "B, C" <c@d.example>
Cc: e@f.example
Reply-To: answers@b.example
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
Date: Mon, 1 Jan 2040 00:00:00 +0000
Message-ID: <one@b.example>
References: <zero@b.example> junk <half@b.example>
Content-Type: multipart/mixed; boundary=m

--m
Content-Type: multipart/alternative; boundary=a

--a
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Grüße, plain
--a
Content-Type: multipart/related; boundary=r

--r
Content-Type: text/html; charset=utf-8

<h1>Grüße, rich</h1><img src="cid:logo@b"><img src="https://track.example/x.gif">
--r
Content-Type: image/png; name=logo.png
Content-ID: <logo@b>
Content-Transfer-Encoding: base64

PNG
--r--
--a--
--m
Content-Type: application/pdf; name="Rechnung März.pdf"
Content-Disposition: attachment; filename*=utf-8''Rechnung%20M%C3%A4rz.pdf
Content-Transfer-Encoding: base64

AAECAw==
--m
Content-Type: message/rfc822

From: inner@b.example
Subject: the inner one
Content-Type: multipart/mixed; boundary=i

--i

inner text
--i
Content-Disposition: attachment; filename=inner.bin

inner bytes
--i--
--m--
"""
).replace(b"PNG\r\n", base64.encodebytes(PNG))


@pytest.fixture
def address(scene: WebmailScene) -> str:
    name = scene.arrive("m", NEWSLETTER, verdicts=Verdicts(spam="PASS", dmarc="PASS"))
    return f"/api/mails/{name}"


def test_a_mail_is_told_whole(browser: WebBrowser, address: str) -> None:
    found = browser.look(address)
    assert found["from"] == [{"name": "Jürgen", "address": "j@b.example"}]
    assert [p["address"] for p in found["to"]] == ["anna@example.com", "c@d.example"]
    assert found["to"][1]["name"] == "B, C"
    assert found["cc"][0]["address"] == "e@f.example"
    assert found["reply_to"][0]["address"] == "answers@b.example"
    assert found["subject"] == "Grüße"
    assert found["received"] == "2026-11-27T10:00:00.000Z"
    assert found["references"] == ["<zero@b.example>", "<half@b.example>", "<one@b.example>"]
    assert found["text"] == "Grüße, plain"
    assert found["html"] is True
    assert found["cut"] is False
    assert found["verdicts"] == [
        {"weight": "good", "text": "The sender's domain is proven (DMARC)."}
    ]
    names = [(a["part"], a["name"], a["inline"], a["mail"]) for a in found["attachments"]]
    assert names == [
        ("1.2.2", "logo.png", True, False),
        ("2", "Rechnung März.pdf", False, False),
        ("3", "the inner one.eml", False, True),
    ]


def test_its_html_has_a_page_of_its_own(browser: WebBrowser, address: str) -> None:
    answer = browser.get(f"{address}/html")
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src")
    assert "img-src data:;" in policy
    page = answer.body.decode()
    assert "Grüße, rich" in page
    assert f"data:image/png;base64,{base64.b64encode(PNG).decode()}" in page
    assert "track.example" not in page
    assert answer.headers["Postamt-Images-Left-Out"] == "1"
    assert answer.all_headers["X-Content-Type-Options"] == "nosniff"
    assert answer.all_headers["Cache-Control"] == "no-store"


def test_images_come_when_they_are_asked_for(browser: WebBrowser, address: str) -> None:
    answer = browser.get(f"{address}/html?images=1")
    assert "img-src data: https:;" in answer.headers["Content-Security-Policy"]
    assert 'src="https://track.example/x.gif"' in answer.body.decode()


def test_an_attachment_is_a_download_to_the_byte(browser: WebBrowser, address: str) -> None:
    answer = browser.get(f"{address}/parts/2")
    assert answer.body == b"\x00\x01\x02\x03"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"Rechnung M_rz.pdf\"; filename*=UTF-8''Rechnung%20M%C3%A4rz.pdf"
    )
    assert "sandbox" in answer.headers["Content-Security-Policy"]


def test_a_nested_mail_is_opened_with_all_that_is_in_it(browser: WebBrowser, address: str) -> None:
    inner = browser.look(f"{address}?part=3")
    assert inner["subject"] == "the inner one"
    assert inner["text"] == "inner text"
    assert [(a["part"], a["name"]) for a in inner["attachments"]] == [("3:2", "inner.bin")]
    assert browser.get(f"{address}/parts/3:2").body == b"inner bytes\r\n"[:-2]
    assert b"inner text" in browser.get(f"{address}/html?part=3").body


@pytest.mark.parametrize(
    "what",
    [
        *("/parts/1", "/parts/9", "/parts/1.1", "/parts/", "/parts/2:1", "/parts/../2"),
        *("?part=2", "?part=9", "?part=x", "/html?part=3:9", "?part=3:3:3", "/other", "/parts"),
        *("?part=" + "1." * 200, "/html/x", "//", "/parts/%32"),
    ],
)
def test_what_is_not_in_it_is_not_found(browser: WebBrowser, address: str, what: str) -> None:
    assert browser.get(f"{address}{what}").status == 404


def test_the_source_is_the_stored_mail(
    scene: WebmailScene, browser: WebBrowser, address: str
) -> None:
    shown = browser.get(f"{address}/source")
    assert shown.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert b"Message-ID: <one@b.example>" in shown.body
    whole = browser.get(f"{address}/source?download=1")
    assert whole.body == NEWSLETTER
    assert whole.headers["Content-Disposition"].startswith("attachment;")


def shown(images: list[bytes], markup: str, how: str = "image/png", named: str = "<%d>") -> bytes:
    """Return HTML with images that it may name as cid:0, cid:1 and so on."""
    raw = b"Content-Type: multipart/related; boundary=q\r\n\r\n--q\r\nContent-Type: text/html"
    raw += b"\r\n\r\n" + markup.encode()
    for number, image in enumerate(images):
        raw += f"\r\n--q\r\nContent-Type: {how}\r\nContent-ID: {named % number}\r\n".encode()
        raw += b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(image)
    return raw + b"\r\n--q--\r\n"


def test_without_a_day_s_place_each_image_is_shown_and_a_repeated_one_is_bounded(
    scene: WebmailScene, browser: WebBrowser
) -> None:
    images = [random.Random(number).randbytes(2 << 20) for number in range(3)]
    markup = "".join(f"<img src=cid:{number}>" for number in (0, 1, 2)) + "<img src=cid:0>" * 500
    page = browser.get(f"/api/mails/{scene.arrive('many', shown(images, markup))}/html").body
    assert all(base64.b64encode(image) in page for image in images)
    assert len(page) < 10 << 20


@pytest.mark.parametrize(
    ("how", "markup", "named", "inline"),
    [
        ("image/png", "<img src=cid:0>", "<%d>", True),
        ("image/jpg", "<img src='CID:0'>", "<%d>", True),
        ("image/x-png; name=x.png", '<img src="cid:&lt;0&gt;">', "<%d>", True),
        ("application/octet-stream; name=x.png", "<img src=cid:0>", "<%d>", True),
        ("image/png", "<img src=cid:0%40b%25>", "<%d@b%%>", True),
        # What nothing shows has to be there as an attachment.
        ("image/png", "<img src=cid:1>", "<%d>", False),
        ("image/png", "<p>see below</p>", "<%d>", False),
        ("image/svg+xml", "<img src=cid:0>", "<%d>", False),
        ("application/pdf", "<a href=cid:0>x</a>", "<%d>", False),
        ("image/tiff", "<img src=cid:0>", "<%d>", False),
        ("image/png", "<a href=cid:0>x</a><p style='background:url(cid:0)'>", "<%d>", False),
        ("image/png", "<!-- <img src=cid:0> --><p>", "<%d>", False),
        ("image/png", "<img src='cid:&lt;&gt;'>", "<%.0s>", False),
        ("image/png", "<!-- x --><p><img src = 'cid:0'>", "<%d>", True),
    ],
)
def test_an_image_is_shown_where_it_is_named_and_else_it_is_an_attachment(
    scene: WebmailScene, browser: WebBrowser, how: str, markup: str, named: str, inline: bool
) -> None:
    address = f"/api/mails/{scene.arrive('m', shown([PNG], markup, how, named))}"
    (attached,) = browser.look(address)["attachments"]
    assert attached["inline"] is inline
    assert (b'src="data:image/' in browser.get(f"{address}/html").body) is inline
    assert browser.get(f"{address}/parts/{attached['part']}").body == PNG


def test_of_two_images_of_one_id_none_is_lost(scene: WebmailScene, browser: WebBrowser) -> None:
    others = [PNG + b"1", PNG + b"2"]
    name = scene.arrive("m", shown(others, "<img src=cid:x>", named="<x%.0s>"))
    page = browser.get(f"/api/mails/{name}/html").body
    attached = browser.look(f"/api/mails/{name}")["attachments"]
    assert [each["inline"] for each in attached] == [False, True]
    assert [base64.b64encode(other) in page for other in others] == [False, True]


class TestDayPlace:
    """As at AWS, where an answer may have 4.5 MB."""

    @pytest.fixture
    def day(self) -> MemoryDay:
        return MemoryDay()

    @pytest.fixture
    def scene(self, day: MemoryDay) -> WebmailScene:
        scene = WebmailScene(day=day)
        scene.let_in("anna")
        return scene

    def test_a_large_attachment_goes_by_it(
        self, scene: WebmailScene, browser: WebBrowser, day: MemoryDay
    ) -> None:
        content = random.Random(7).randbytes(5 << 20)
        raw = (
            mail(
                "Content-Type: application/zip\nContent-Transfer-Encoding: base64\n"
                'Content-Disposition: attachment; filename="big.zip"'
            )
            + b"\r\n\r\n"
            + base64.encodebytes(content)
        )
        raw_mail = b"X: y\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n" + raw
        name = scene.arrive("big", raw_mail + b"\r\n--q--\r\n")
        answer = browser.get(f"/api/mails/{name}/parts/1")
        assert answer.status == 303
        assert day.kept[answer.headers["Location"]] == content
        assert answer.body == b""

    @pytest.mark.slow
    def test_the_largest_mail_that_ses_takes_is_read_and_goes_by_it(
        self, scene: WebmailScene, browser: WebBrowser, day: MemoryDay
    ) -> None:
        content = random.Random(8).randbytes(29_000_000)
        raw = b"Subject: large\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nhello"
        raw += b"\r\n--q\r\nContent-Type: video/mp4; name=film.mp4\r\nContent-Transfer-Encoding:"
        raw += b" base64\r\n\r\n" + base64.encodebytes(content) + b"--q--\r\n"
        assert 39_000_000 < len(raw) < 41_000_000
        address = f"/api/mails/{scene.arrive('large', raw)}"
        tracemalloc.start()
        try:
            found = browser.look(address)
            answer = browser.get(f"{address}/parts/2")
            assert tracemalloc.get_traced_memory()[1] < 300_000_000
        finally:
            tracemalloc.stop()
        assert found["text"] == "hello"
        assert [each["name"] for each in found["attachments"]] == ["film.mp4"]
        assert abs(found["attachments"][0]["size"] - len(content)) < 1_000_000
        assert answer.status == 303
        assert day.kept[answer.headers["Location"]] == content

    def test_images_beyond_three_megabytes_go_by_it(
        self, scene: WebmailScene, browser: WebBrowser, day: MemoryDay
    ) -> None:
        parts = [b"<img src=cid:a><img src=cid:b>"]
        images = [random.Random(n).randbytes(2 << 20) for n in range(2)]
        raw = b"Content-Type: multipart/related; boundary=q\r\n\r\n--q\r\nContent-Type: text/html"
        raw += b"\r\n\r\n" + parts[0]
        for name, image in zip("ab", images, strict=True):
            raw += f"\r\n--q\r\nContent-Type: image/jpeg\r\nContent-ID: <{name}>\r\n".encode()
            raw += b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(image)
        name = scene.arrive("images", raw + b"\r\n--q--\r\n")
        answer = browser.get(f"/api/mails/{name}/html")
        ((address, kept),) = day.kept.items()
        assert kept == images[1]
        assert address in answer.body.decode()
        assert "img-src data: https://day.example;" in answer.headers["Content-Security-Policy"]

    def test_an_image_that_is_shown_many_times_has_its_bounds_too(
        self, scene: WebmailScene, browser: WebBrowser, day: MemoryDay
    ) -> None:
        image = random.Random(1).randbytes(1 << 20)
        name = scene.arrive("many", shown([image], "<img src=cid:0>" * 2_000))
        page = browser.get(f"/api/mails/{name}/html").body
        assert len(page) < 6 << 20
        assert page.count(b"data:image/png") == 3
        (address,) = day.kept
        assert page.count(address.encode()) == 1_997

    @pytest.mark.slow
    def test_so_many_images_are_put_there_and_no_more(
        self, scene: WebmailScene, browser: WebBrowser, day: MemoryDay
    ) -> None:
        images = [bytes([number]) * 40_000 for number in range(200)]
        every = "".join(f"<img src=cid:{number}>" for number in range(200)) * 50
        began = time.process_time()
        browser.get(f"/api/mails/{scene.arrive('album', shown(images, every))}/html")
        assert len(day.kept) == 100
        assert time.process_time() - began < 5

    def test_the_whole_source_goes_by_the_bucket(
        self, scene: WebmailScene, browser: WebBrowser, address: str
    ) -> None:
        answer = browser.get(f"{address}/source?download=1")
        assert answer.status == 303
        assert answer.headers["Location"].startswith("https://bucket.example/incoming/m")


def test_a_mail_that_is_gone_or_archived_is_said(
    scene: WebmailScene, browser: WebBrowser, address: str
) -> None:
    scene.store.objects.clear()
    for what in ("", "/html", "/source", "/parts/2"):
        answer = browser.get(f"{address}{what}")
        assert answer.status == 410
        assert "no longer there" in json.loads(answer.body)["problem"]


def test_no_name_or_subject_turns_what_stands_behind_it(
    scene: WebmailScene, browser: WebBrowser
) -> None:
    turned = "\u202eelpmaxe.knab@ecivres\u2066x"
    raw = f'From: "{turned}" <x@evil.example>\r\nTo: "{turned}" <a@b.example>\r\nSubject: {turned}'
    name = scene.arrive("m", f"{raw}\r\n\r\nhello".encode())
    found = browser.look(f"/api/mails/{name}")
    (line,) = browser.look("/api/mails")["mails"]
    for said in (found["subject"], found["from"], found["to"], line["from"], line["subject"]):
        assert "elpmaxe.knab" in str(said)
        assert not {"\u202e", "\u2066"} & set(json.dumps(said, ensure_ascii=False))


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "text/javascript", "x", "text/xml"])
def test_an_attachment_is_never_a_page_whatever_it_says(
    scene: WebmailScene, browser: WebBrowser, kind: str
) -> None:
    head = f'Content-Type: {kind}; charset=utf-7\r\nContent-Disposition: attachment; filename="a"'
    raw = (
        f"Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n{head}\r\n\r\n<script>1</script>"
    )
    name = scene.arrive("m", raw.encode())
    answer = browser.get(f"/api/mails/{name}/parts/1")
    said = answer.all_headers
    assert said["Content-Type"] == "application/octet-stream"
    assert said["Content-Disposition"].startswith("attachment; ")
    assert said["X-Content-Type-Options"] == "nosniff"
    assert said["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_a_key_of_any_letters_has_an_address(scene: WebmailScene, browser: WebBrowser) -> None:
    for key in ("a/b c?#%2e", "../../x", "ü漢", "x" * 700):
        name = scene.arrive(key)
        assert browser.look(f"/api/mails/{name}")["text"].strip() == "hello"


@pytest.mark.parametrize("seed", range(4))
def test_no_broken_mail_is_an_error_of_ours(
    scene: WebmailScene, browser: WebBrowser, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        raw = b"".join(chance.choices(PIECES, k=chance.randrange(60)))
        address = f"/api/mails/{scene.arrive('m', raw)}"
        found = browser.look(address)
        assert browser.get(f"{address}/html").status == 200
        assert browser.get(f"{address}/source").status == 200
        for each in found["attachments"]:
            assert browser.get(f"{address}/parts/{each['part']}").status == 200
    assert scene.said == []
