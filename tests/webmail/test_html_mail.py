"""HTML made harmless: what is left of hostile mail is on our own list, and nothing else."""

from __future__ import annotations

import html
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.webmail.html_mail import MOST_TAGS, frame_page, frame_policy, plain_text
from postamt_sync.webmail.mail_content import Shown, open_mail
from tests.webmail.hostile import ALL, hostile
from tests.webmail.hostile_twists import MAILS

TO = "//leak.example"
PNG = "data:image/png;base64,iVBORw0KGgo="
FORBIDDEN = {
    *("script", "style", "link", "meta", "base", "iframe", "frame", "frameset", "object"),
    *("embed", "applet", "svg", "math", "form", "input", "button", "textarea", "select"),
    *("video", "audio", "source", "track", "picture", "template", "noscript", "portal"),
    *("xmp", "plaintext", "title", "area", "map", "image", "canvas", "dialog", "marquee"),
}


class Inspector(HTMLParser):
    """What a page would load or run, as far as its markup says."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.images: list[str] = []
        self.links: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in FORBIDDEN - {"area", "map"}:
            self.wrong.append(tag)
        for name, value in attrs:
            said = (value or "").lower()
            if name.startswith("on") or name in {"srcset", "action", "formaction", "background",
                "ping", "poster", "data", "cite", "srcdoc", "id", "class", "name", "autofocus",
                "tabindex", "xlink:href", "http-equiv", "usemap"}:  # fmt: skip
                self.wrong.append(f"{tag} {name}")
            if name == "style" and re.search(
                r"url|\\|image|@|expression|position|var\(|cross|src|//|attr|element|paint", said
            ):
                self.wrong.append(f"{tag} {name}={value}")
            if name == "src":
                self.images.append(said)
            if name == "href" and not re.match(r"(https?|mailto|tel):", said):
                self.wrong.append(f"{tag} {name}={value}")
        if tag == "a":
            self.links.append(dict(attrs))


def body(html: str, *, images: bool = False) -> str:
    page, _ = frame_page(
        [Shown(html, is_html=True)], lambda cid: PNG if cid == "logo" else "", images=images
    )
    text = page.decode()
    return text[text.index("<body>") + 6 : text.rindex("</body>")]


def inspected(html: str, *, images: bool = False) -> Inspector:
    inspector = Inspector()
    inspector.feed(body(html, images=images))
    inspector.close()
    return inspector


def test_there_are_enough_of_them() -> None:
    assert len(ALL) >= 250
    assert len(MAILS) >= 15


@pytest.mark.parametrize("name", MAILS)
def test_however_a_mail_says_what_it_is_nothing_is_left(name: str) -> None:
    content = open_mail(MAILS[name](TO))
    assert content is not None
    for images in (False, True):
        page, _ = frame_page(content.rich or content.plain, lambda _: "", images=images)
        text = page.decode()
        inspector = Inspector()
        inspector.feed(text[text.index("<body>") + 6 : text.rindex("</body>")])
        assert inspector.wrong == []
        assert all(images and s.startswith("https://leak.example/") for s in inspector.images)


def test_the_inspector_sees_what_is_wrong_in_them() -> None:
    seen = 0
    for name in ALL:
        inspector = Inspector()
        inspector.feed(hostile(name, TO))
        inspector.close()
        seen += bool(inspector.wrong or inspector.images)
    assert seen > len(ALL) * 0.8


@pytest.mark.parametrize("name", ALL)
def test_nothing_of_hostile_html_is_left(name: str) -> None:
    found = inspected(hostile(name, TO))
    assert found.wrong == []
    assert [s for s in found.images if not s.startswith(PNG[:14].lower())] == []


@pytest.mark.parametrize("name", ALL)
def test_with_images_on_there_are_images_and_nothing_else(name: str) -> None:
    found = inspected(hostile(name, TO), images=True)
    assert found.wrong == []
    assert all(s.startswith(("https://leak.example/", "data:image/")) for s in found.images)


@pytest.mark.parametrize("name", ALL)
def test_what_comes_out_is_the_same_when_it_goes_in_again(name: str) -> None:
    """What a second reading changes, a browser might read in another way than we did."""
    once = body(hostile(name, TO), images=True)
    again = body(once, images=True)
    third = body(again, images=True)
    assert again == third
    assert re.sub(r"<[^>]*>", "", again) == re.sub(r"<[^>]*>", "", once)


def test_links_open_by_themselves_and_say_where_they_lead() -> None:
    (link,) = inspected('<a href="https://evil.example/x" onclick=1 target=_top>here</a>').links
    assert link == {
        "href": "https://evil.example/x",
        "target": "_blank",
        "rel": "noopener noreferrer nofollow",
        "title": "https://evil.example/x",
    }


@pytest.mark.parametrize(
    ("target", "shown", "told"),
    [
        ("https://evil.example/", "https://bank.example", True),
        ("https://evil.example/", "www.bank.example/login", True),
        ("https://evil.example/bank.example", "bank.example", True),
        ("https://bank.example@evil.example/", "bank.example", True),
        ("https://bank.example.evil.example/", "bank.example", True),
        ("https://www.bank.example/a", "bank.example", False),
        ("https://bank.example/a", "Click here", False),
        ("mailto:a@evil.example", "a@bank.example", False),
        # What a browser makes of an address, and a person of a text.
        ("https:///evil.example/", "bank.example", True),
        ("https://EVIL.example:443/", "evil.example", False),
        ("https://evil.example/", "evil.example www.bank.example", True),
        ("https://evil.example/", "bank<b>.</b>example", True),
        ("https://evil.example/", "b<i>ank.exam</i>ple", True),
        ("https://evil.example/", "ban&shy;k.exam&#8203;ple", True),
        ("https://evil.example/", "bank\uff0eexample", True),
        ("https://evil.example/", "bank\u3002example", True),
        ("https://evil.example/", "<bdo dir=rtl>elpmaxe.knab</bdo>", True),
        ("https://evil.example/", "\u202edi lacol\u202c", True),
        ("https://b\u0430nk.example/", "bank.example", True),
        ("https://bank.example%2eevil.example/", "bank.example", True),
        ("https://3232235777/", "To my account", True),
        ("https://bank.example@evil.example/", "To my account", True),
        ("https://xn--bnk-6cd.example/", "To my account", True),
        ("https://m\u00fcller.example/", "m\u00fcller.example", False),
        ("https://xn--mller-kva.example/", "m\u00fcller.example", False),
        ("https://shop.example/", "Now at 10.50, e.g. in size 3.5", False),
        ("tel:+49301234", "bank.example", False),
        # What is there and not seen, and room that a style takes away.
        ("https://evil.example/", "bank<span style='display:none'> x </span>.example", True),
        ("https://evil.example/", "bank<i style='font-size:0'>, or </i>.example", True),
        ("https://evil.example/", "<span style='opacity:0'>no</span>bank<b> </b>.example", True),
        ("https://rob.example/", "bank<span style='visibility:hidden'> </span>rob.example", True),
        ("https://evil.example/", "<u style='word-spacing:-1em'>bank .example</u>", True),
        ("https://evil.example/", "bank. com", True),
        ("https://evil.example/", "Now read on. Comfort matters", False),
        ("https://evil.example/", "<span style='color:red'>Our shop</span>, now open", False),
    ],
)
def test_a_link_that_looks_like_another_address_is_told(
    target: str, shown: str, told: bool
) -> None:
    assert ("[leads to " in body(f'<a href="{target}">{shown}</a>')) is told


EVIL, ROB, BANK = (f'<a href="https://{name}.example/">' for name in ("evil", "rob", "bank"))


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        (f"{EVIL}bank</a>{EVIL}.example</a>", 2),
        (f"{EVIL}ba</a><b>nk</b><i>{EVIL}.exam</a></i>ple", 2),
        (f"bank{EVIL}.example</a>", 1),
        (f"{EVIL}bank</a>.example/login", 1),
        (f"bank{ROB}rob.example</a>", 1),
        (f"<span>b</span><span>a{EVIL}nk.ex</a></span><wbr>ample", 1),
        (f"<div style='display: inline'>{EVIL}bank</a></div><div style='float:left'>.example", 1),
        (f"bank<span style='display:none'> </span>{EVIL}.example</a>", 1),
        (f"bank<img>{EVIL}.example</a>", 1),
        (f"www.{BANK}bank.example</a>/login", 0),
        (f"{EVIL}Bank</a> .Example", 0),
        (f"<p>bank</p>{EVIL}.example</a>", 0),
        (f"bank<br>{EVIL}.example</a>", 0),
        (f"<table><tr><td>Shop<td>{BANK}bank.example</a><td>more</table>", 0),
        (f"<p>See bank.example.</p><p>{EVIL}More</a>.</p>", 0),
        (f"bank.example ({EVIL}more</a>)", 0),
        (f"Read {EVIL}on</a>, {BANK}back</a>.", 0),
    ],
)
def test_links_that_spell_another_address_with_what_is_beside_them_are_told(
    markup: str, told: int
) -> None:
    assert body(markup).count("[leads to ") == told


def test_where_a_link_leads_is_told_in_letters_that_cannot_be_mistaken() -> None:
    told = body('<a href="https://b\u0430nk.example/" style="font-size:0">bank.example</a>')
    assert "[leads to xn--bnk-6cd.example]" in told
    assert 'style="all: initial !important; color: #8a3b00 !important' in told


@pytest.mark.parametrize(
    "style",
    [
        "background: linear-gradient(rgb(1, 2, 3), hsl(4 5% 6%))",
        "width: calc(100% - (2px + 1em))",
        "font-family: 'Segoe UI', \"a b\", serif; color: red",
        "font: 9px/1 'x y'",
        "color: red !important; margin: -1px auto",
    ],
)
def test_styles_that_only_draw_are_kept(style: str) -> None:
    assert f"{style}" in html.unescape(body(f"<p style='{html.escape(style)}'>x"))


@pytest.mark.parametrize("function", ["cross-fade", "-webkit-cross-fade", "paint", "new-image-of"])
def test_a_function_that_we_do_not_know_may_be_one_that_loads(function: str) -> None:
    assert body(f"<p style=\"color:red;background:{function.upper()}('{TO}')\">x</p>") == (
        '<p style="color: red">x</p>'
    )


def test_no_name_of_a_link_is_looked_up_before_it_is_followed() -> None:
    page, _ = frame_page([Shown("x")], lambda _: "", images=False)
    assert b'<meta http-equiv="x-dns-prefetch-control" content="off">' in page


def test_ordinary_mail_keeps_its_look() -> None:
    html = (
        '<table width="600" bgcolor="#eeeeee" cellpadding="8"><tr><td style="color:#333;'
        'font-family:Arial;padding:10px" colspan="2"><h1 align="center">Hello</h1>'
        '<img src="cid:logo" alt="Logo" width="20"><a href="mailto:a@b.example">write</a>'
        "<ul><li><b>bold</b></li></ul></td></tr></table>"
    )
    kept = body(html)
    for piece in ('width="600"', 'bgcolor="#eeeeee"', "color: #333", "font-family: Arial",
        'colspan="2"', 'align="center"', f'src="{PNG}"', 'alt="Logo"', "<b>bold</b>"):  # fmt: skip
        assert piece in kept


def test_images_of_others_are_counted_and_come_over_https_alone() -> None:
    html = '<img src="http://a.example/x"><img src="https://b.example/y"><img src="cid:logo">'
    _, left_out = frame_page([Shown(html, is_html=True)], lambda _: PNG, images=False)
    assert left_out == 2
    assert inspected(html, images=True).images == [
        *("https://a.example/x", "https://b.example/y", PNG.lower()),
    ]


@pytest.mark.parametrize(
    "source",
    [
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:text/html;base64,PHA+",
        "data:image/png,<svg>",
        "data:image/png;base64,AA;x",
        "cid:other",
        "ftp://a.example/x",
        "file:///etc/passwd",
        "/api/session",
        "x.png",
        "//a.example/x",
        "about:blank",
        "javascript:1",
    ],
)
def test_other_sources_of_images_are_none(source: str) -> None:
    assert inspected(f'<img src="{source}">').images == []


def test_the_policy_of_the_frame() -> None:
    assert frame_policy(images=False) == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:; "
        "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
    assert "img-src data: https:;" in frame_policy(images=True)
    assert "img-src data: https://day.example;" in frame_policy(
        images=False, image_host="https://day.example"
    )


def test_text_beside_html_is_escaped() -> None:
    page, _ = frame_page([Shown("<script>1</script> & text")], lambda _: "", images=False)
    assert b"<pre>&lt;script&gt;1&lt;/script&gt; &amp; text</pre>" in page


def test_html_as_text() -> None:
    html = "<style>x</style><h1>Title</h1><p>One<br>two <b>bold</b></p><script>1</script>"
    text = plain_text([Shown(html, is_html=True)])
    assert "Title\n" in text
    assert "two bold" in text
    assert "<" not in text
    assert "1" not in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 100_000,
        "<b>" * 50_000 + "</b>" * 50_000,
        "<table><tr><td>" * 30_000,
        "<p>x" * 200_000,
        "<a href=x>" * 50_000,
        "<b><p>" * 20_000,
        "<" * 500_000,
        "&amp" * 200_000,
        "<p " + "a=1 " * 100_000 + ">",
        '<p style="' + "color:red;" * 50_000 + '">',
        '<p style="' + "a:url(" * 50_000 + '">',
        "<!--" * 100_000,
        "<svg><style>" * 20_000,
        "<img src='" * 50_000,
        "<font color=red>" * 10_000 + "<p>x" * 10_000,
        "<a href='https://x.example'>" + "y.example " * 50_000,
        "<p style='color:" + "a" * 500_000 + "'>x",
        "<p style='color:" + "a(" * 200_000 + "'>x",
        "<p style='" + "\"'" * 200_000 + "'>x",
        ("<a href=https://e.example>" + "a" * 2_000 + "</a>") * 500,
        ("<a href=https://e.example>" + "a.1" * 700 + "</a>") * 500,
        ("<a href=https://e.example>" + "\u00fc.\u00e4\u00f6 " * 400 + "</a>") * 300,
        "<a href=https://e.example>a</a>b." * 15_000,
        "<span style='opacity:1'>" * 400 + "<b style='x:1'> </b>" * 14_000,
    ],
    ids=lambda html: html[:14],
)
def test_what_was_made_to_exhaust_us_takes_no_time(html: str) -> None:
    began = time.process_time()
    body(html)
    plain_text([Shown(html, is_html=True)])
    assert time.process_time() - began < 10


@pytest.mark.slow
def test_many_pieces_of_html_are_bounded_together() -> None:
    pieces = [Shown("<b>x</b>" * 9_000, is_html=True)] * 20
    began = time.process_time()
    page, _ = frame_page(pieces, lambda _: "", images=False)
    text = plain_text(pieces)
    assert time.process_time() - began < 10
    assert MOST_TAGS // 4 < page.count(b"<b>") <= MOST_TAGS
    assert page.count(b"There is more than is shown here") == 19
    assert 9_000 < text.count("x") <= MOST_TAGS


@given(st.lists(st.sampled_from([*ALL.values(), "<", ">", "</p>", '"', "'", "--", "\0"])))
def test_vectors_in_any_mixture(parts: list[str]) -> None:
    found = inspected("".join(parts[:6]).format_map({"to": TO}) if parts else "")
    assert found.wrong == []
