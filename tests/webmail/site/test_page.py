"""The page in a real browser, before a webmail in memory."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from postamt_sync.webmail.mail_list import mail_address
from postamt_sync.webmail.mailer import PerhapsSentError, SurelyNotSentError
from postamt_sync.webmail.sessions import LONGEST_SECONDS
from postamt_sync.webmail.site import site
from tests.browser import DESKTOP, PHONE, Browser, needs_browser
from tests.doubles.webmail import SECRET, WebmailScene
from tests.support.campaign import spread
from tests.support.http_server import served
from tests.webmail.hostile import ALL, hostile
from tests.webmail.hostile_twists import MAILS
from tests.webmail.page import open_first, served_scene, sign_in_page, signed_in, until_listed
from tests.webmail.test_reading_pages import NEWSLETTER

pytestmark = [pytest.mark.slow, *needs_browser]


@pytest.fixture(scope="module")
def local() -> Iterator[tuple[WebmailScene, str]]:
    with served_scene() as (scene, url):
        scene.let_in("anna", "bruno")
        scene.arrive("newsletter", NEWSLETTER)
        yield scene, url


@pytest.fixture
def scene(local: tuple[WebmailScene, str]) -> WebmailScene:
    return local[0]


@pytest.fixture
def url(local: tuple[WebmailScene, str]) -> str:
    return local[1]


PARTS = (
    *("header", "main", "#mail .bar", "#mail h1", "#mail dl", "#mail .text", "#mail .files"),
    "#mail iframe",
)


class TestInABrowser:
    def test_sign_in_list_and_read_by_keyboard_alone(self, browser: Browser, url: str) -> None:
        sign_in_page(browser, url)
        browser.type("anna", Keys.TAB, SECRET, Keys.ENTER)
        until_listed(browser)
        assert "Jürgen" in browser.text
        open_first(browser)
        assert browser.run("return document.querySelector('#mail h1').textContent") == "Grüße"
        assert browser.title == "Grüße"
        with browser.within("iframe"):
            browser.until("return document.body.innerText.includes('Grüße, rich')")
            assert browser.run("return document.querySelector('img').naturalWidth") is not None
            assert browser.run("return self.origin") == "null"
        assert "Rechnung März.pdf" in browser.text
        browser.type("u")
        browser.until("return !document.body.classList.contains('reading')")
        browser.until("return document.querySelector('#mails a') "
                      "&& !document.querySelector('#mails a.unread')")  # fmt: skip
        browser.type("?")
        browser.until("return document.getElementById('help').open")
        browser.type(Keys.ESCAPE)
        browser.until("return !document.getElementById('help').open")

    def test_a_mail_is_printed_whole_and_nothing_beside_it(
        self, browser: Browser, url: str
    ) -> None:
        signed_in(browser, url)
        open_first(browser)
        seen = "return getComputedStyle(document.querySelector(arguments[0])).display !== 'none'"
        with browser.on_paper():
            shown = [each for each in PARTS if browser.run(seen, each)]
        assert shown == ["#mail h1", "#mail dl", "#mail .text", "#mail .files"]
        assert [each for each in PARTS if browser.run(seen, each)] == [
            each for each in PARTS if each != "#mail .text"
        ]

    def test_the_session_is_a_cookie_that_no_script_reads(self, browser: Browser, url: str) -> None:
        signed_in(browser, url)
        assert browser.run("return document.cookie") == ""
        browser.open(url)
        browser.until("return !document.getElementById('page').hidden")

    def test_a_wrong_secret_is_told_and_a_right_one_opens(self, browser: Browser, url: str) -> None:
        signed_in(browser, url)
        browser.run("document.getElementById('sign-out').click()")
        browser.until("return !document.getElementById('sign-in').hidden")
        assert browser.run("return document.querySelectorAll('#mails a').length") == 0
        browser.type("wrong", Keys.ENTER)
        browser.until(
            "return document.querySelector('.problem').textContent.includes('secret is wrong')"
        )
        browser.type(*[Keys.BACKSPACE] * len("wrong"), SECRET, Keys.ENTER)
        until_listed(browser)

    def test_a_browser_that_keeps_no_cookie_is_told(self, browser: Browser, url: str) -> None:
        sign_in_page(browser, url)
        browser.run(
            "const real = window.fetch; window.fetch = (path, how) => path === '/api/session'"
            ' ? new Response(\'{"code": "signed-out"}\', { status: 401 }) : real(path, how);'
        )
        browser.type("anna", Keys.TAB, SECRET, Keys.ENTER)
        browser.until("return document.body.innerText.includes('This browser keeps no cookie')")

    def test_a_device_that_signed_in_before_is_crowded_out_by_nobody(
        self, browser: Browser, url: str, scene: WebmailScene
    ) -> None:
        signed_in(browser, url)
        tries = {"count": 50, "until": round(scene.now + 60) * 1_000, "expires": 9_999_999_999}
        scene.table.put("tries", "127.0.0.1", tries)
        signed_in(browser, url)
        scene.table.delete("tries", "127.0.0.1")

    def test_another_mailbox_sees_nothing_of_it(self, browser: Browser, url: str) -> None:
        signed_in(browser, url)
        open_first(browser)
        address = str(browser.run("return location.href"))
        signed_in(browser, url, "bruno")
        assert "There is no mail here." in browser.text
        browser.open("about:blank")
        browser.open(address)
        browser.until("return document.body.innerText.includes('There is no such mail here.')")

    def test_a_window_of_one_mailbox_shows_nothing_of_another_that_signs_in_beside_it(
        self, browser: Browser, url: str, scene: WebmailScene
    ) -> None:
        signed_in(browser, url)
        scene.arrive("for bruno", to=("bruno@example.com",))
        try:
            with browser.second_window(url):
                signed_in(browser, url, "bruno")
                with browser.first_window():
                    browser.run("window.dispatchEvent(new Event('online'))")
                    browser.until("return !document.getElementById('sign-in').hidden")
                    assert "You were signed out." in browser.text
                browser.run("location.reload()")
                browser.until("return document.querySelectorAll('#mails a').length === 1")
        finally:
            scene.index.entries.pop("for bruno")
            scene.index.put(scene.index.entries["newsletter"])

    def test_search_finds_and_says_where_nothing_is(self, browser: Browser, url: str) -> None:
        signed_in(browser, url)
        browser.type("/", "grüße", Keys.ENTER)
        browser.until("return location.hash.includes('q=')")
        browser.until("return document.querySelectorAll('#mails a').length === 1")
        browser.type("/", "nothing of this kind", Keys.ENTER)
        browser.until("return document.body.innerText.includes('Nothing was found.')")
        browser.run("[...document.querySelectorAll('#elsewhere a')].at(-1).click()")
        browser.until("return /^#.sent.q=.*nothing.of.this.kind/.test(location.hash)")
        browser.until("return document.getElementById('elsewhere').innerText.includes('Inbox')")
        browser.run("document.querySelector('nav a').click()")
        browser.until("return document.getElementById('elsewhere').hidden")
        assert browser.run("return document.getElementById('search').elements.q.value") == ""

    def test_the_session_ends_by_itself_on_the_page_too(
        self, browser: Browser, url: str, scene: WebmailScene
    ) -> None:
        signed_in(browser, url)
        for key in [key for key in scene.table.kept if key[0] == "session"]:
            scene.table.delete(*key)
        browser.type("j", Keys.ENTER)
        browser.until("return !document.getElementById('sign-in').hidden")
        assert "You were signed out." in browser.text

    def test_it_fits_every_screen(self, browser: Browser, url: str, tmp_path: Path) -> None:
        signed_in(browser, url)
        wide = "return document.documentElement.scrollWidth"
        display = "return getComputedStyle(document.querySelector(arguments[0])).display"
        ground = "return getComputedStyle(document.body).backgroundColor"
        for width, dark in itertools.product((PHONE, DESKTOP), (False, True)):
            open_first(browser)
            browser.resize(width, dark=dark)
            browser.until("return innerWidth === arguments[0]", width)
            assert browser.run(wide) <= width
            assert browser.run(display, "#mail") != "none"
            assert (browser.run(display, "main") == "none") is (width == PHONE)
            browser.picture(tmp_path / f"mail-{width}-{dark}.png")
            browser.type("u")
            browser.until("return !document.body.classList.contains('reading')")
            assert browser.run(wide) <= width
            assert browser.run(ground) == ("rgb(22, 24, 28)" if dark else "rgb(250, 250, 250)")


class Counting(ThreadingHTTPServer):
    """Counts whatever reaches it, connections too."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        reached = self.reached

        class Handler(BaseHTTPRequestHandler):
            def handle(self) -> None:
                reached.append("connection")
                super().handle()

            def do_GET(self) -> None:
                reached.append(self.path)
                self.send_error(404)

            do_POST = do_HEAD = do_OPTIONS = do_PROPFIND = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None: ...

        super().__init__(("127.0.0.1", 0), Handler)


QUARTERS = 4


@pytest.mark.timeout(300)
@pytest.mark.parametrize("quarter", spread(range(QUARTERS), QUARTERS))
def test_no_hostile_mail_reaches_anybody(
    browser: Browser, url: str, scene: WebmailScene, quarter: int
) -> None:
    """Every vector, in the page as a reader opens it: no request, not even a connection."""
    with served(counting := Counting()):
        to = f"//evil.example:{counting.server_port}"
        head = "Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        mails = [f"{head}{hostile(name, to)}<p>shown".encode() for name in ALL]
        mails += [raw_mail(to) for raw_mail in MAILS.values()]
        mails = mails[quarter::QUARTERS]
        signed_in(browser, url, "bruno")
        before = browser.run(EVERY_MAIL)
        for number, raw in enumerate(mails):
            scene.arrive(f"v{quarter}-{number}", raw, to=("bruno@example.com",))
        names = [name for name in browser.run(EVERY_MAIL) if name not in before]
        assert len(names) == len(mails)
        assert browser.run(OPEN_FRAMES, names, "") == [True] * len(names)
        time.sleep(0.5)
        assert counting.reached == []
        # What is counted at all, and that images alone come when they are asked for: over TLS, of
        # which this server understands nothing.
        some = names[::5]
        assert browser.run(OPEN_FRAMES, some, "?images=1") == [True] * len(some)
        assert set(counting.reached) == {"connection"}


EVERY_MAIL = """
return (async () => {
  const all = [];
  let cursor = "";
  do {
    const page = await (await fetch("/api/mails?cursor=" + cursor)).json();
    all.push(...page.mails.map((mail) => mail.id));
    cursor = page.cursor;
  } while (cursor);
  return all;
})()
"""
OPEN_FRAMES = """
const [names, query] = arguments;
const open = (name) => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-popups allow-popups-to-escape-sandbox");
  frame.src = `/api/mails/${name}/html${query}`;
  frame.addEventListener("load", () => setTimeout(() => {
    const apart = frame.contentDocument === null;
    frame.remove();
    resolve(apart);
  }, 200));
  document.body.append(frame);
});
return (async () => {
  const done = [];
  for (let at = 0; at < names.length; at += 25)
    done.push(...await Promise.all(names.slice(at, at + 25).map(open)));
  return done;
})()
"""


def test_a_mail_that_is_too_long_to_be_shown_says_so(
    browser: Browser, url: str, scene: WebmailScene
) -> None:
    name = scene.arrive("long", b"Subject: long\r\n\r\n" + b"word " * 101_000)
    try:
        signed_in(browser, url)
        for shown, address in ((True, name), (False, mail_address("newsletter"))):
            browser.run("location.hash = `#/inbox/${arguments[0]}`", address)
            browser.until("return document.querySelector('#mail dl')")
            assert ("Download has all of it" in browser.text) is shown
            browser.run("document.getElementById('mail').replaceChildren()")
    finally:
        scene.index.entries.pop("long")
        scene.index.put(scene.index.entries["newsletter"])


class TestWriting:
    @pytest.fixture(autouse=True)
    def at_the_list(self, browser: Browser, url: str, scene: WebmailScene) -> None:
        scene.mailer.sent.clear()
        scene.mailer.fails.clear()
        signed_in(browser, url)

    def test_a_mail_is_written_and_sent_by_keyboard(
        self, browser: Browser, scene: WebmailScene
    ) -> None:
        browser.type("c")
        browser.until("return document.activeElement.name === 'to'")
        browser.type("Bo <bo@x.example>", *[Keys.TAB] * 3, "Grüße", Keys.TAB, "Hello\nthere")
        assert browser.run(KEPT)[0]["text"] == "Hello\nthere"
        browser.run("document.getElementById('compose').requestSubmit()")
        browser.until("return document.body.innerText.includes('It is sent.')")
        ((sender, recipients, raw),) = scene.mailer.sent
        assert (sender, recipients) == ("anna@example.com", ("bo@x.example",))
        assert b"Hello\r\nthere" in raw
        assert browser.run(KEPT) == []
        browser.run("location.hash = '#/sent'")
        browser.until("return document.body.innerText.includes('To bo@x.example')")

    @pytest.mark.parametrize(
        ("key", "to", "cc"),
        [
            ("r", ("answers@b.example",), ()),
            ("a", ("answers@b.example", "c@d.example"), ("e@f.example",)),
            ("f", (), ()),
        ],
    )
    def test_answers_and_forwards_begin_as_they_should(
        self, browser: Browser, scene: WebmailScene, key: str, to: Any, cc: Any
    ) -> None:
        open_first(browser)
        browser.type(key)
        browser.until("return document.getElementById('compose')")
        value = "return document.getElementById('compose').elements[arguments[0]].value"
        assert all(address in browser.run(value, "to") for address in to)
        assert all(address in browser.run(value, "cc") for address in cc)
        assert "anna@example.com" not in browser.run(value, "to")
        assert browser.run(value, "subject") == ("Fwd: Grüße" if key == "f" else "Re: Grüße")
        assert "Grüße, plain" in browser.run(value, "text")
        if key == "f":
            browser.type("bo@x.example")
        browser.run("document.getElementById('compose').requestSubmit()")
        browser.until("return document.body.innerText.includes('It is sent.')")
        ((_, recipients, raw),) = scene.mailer.sent
        assert recipients == (("bo@x.example",) if key == "f" else (*to, *cc))
        assert (b"In-Reply-To: <one@b.example>" in raw) is (key != "f")
        assert (b"AAECAw==" in raw) is (key == "f")
        assert (b"logo.png" in raw) is (key == "f")

    def test_an_answer_to_what_was_sent_goes_where_that_went_and_names_each_once(
        self, browser: Browser
    ) -> None:
        fields = {
            "draft": str(uuid.uuid4()),
            "from": "anna@example.com",
            "to": "Bo <bo@x.example>, c@x.example",
            "cc": "BO@x.example, d@x.example",
            "subject": "Sent",
            "text": "x",
        }
        send = "return fetch('/api/send', {method: 'POST', body: arguments[0], headers:"
        send += " {'Content-Type': 'application/json'}}).then((answer) => answer.status)"
        assert browser.run(send, json.dumps(fields)) == 200
        browser.run("location.hash = '#/sent'")
        browser.until("return document.body.innerText.includes('To bo@x.example, c@')")
        browser.run(
            "[...document.querySelectorAll('#mails a')]"
            ".find((each) => each.innerText.includes('c@x.example')).click()"
        )
        browser.until("return document.querySelector('#mail dl')")
        assert "Received" not in browser.run("return document.querySelector('#mail dl').innerText")
        browser.type("a")
        browser.until("return document.getElementById('compose')")
        value = "return document.getElementById('compose').elements[arguments[0]].value"
        assert browser.run(value, "to") == '"Bo" <bo@x.example>, c@x.example'
        assert browser.run(value, "cc") == "d@x.example"
        assert browser.run(value, "from") == "anna@example.com"

    def test_whatever_somebody_calls_himself_he_is_answered(
        self, browser: Browser, scene: WebmailScene
    ) -> None:
        head = b'From: "Sales <EU>; \\"Ltd\\", Co" <s@x.example>\r\nSubject: Offer\r\n\r\n'
        line = b"line" * 15
        name = scene.arrive("odd", head + (line + b"\n") * 3_500)  # 213,500 characters
        try:
            browser.run("location.hash = `#/inbox/${arguments[0]}`", name)
            browser.until("return document.querySelector('#mail dl')")
            browser.type("r")
            browser.until("return document.getElementById('compose')")
            browser.run("document.getElementById('compose').requestSubmit()")
            browser.until("return document.body.innerText.includes('It is sent.')")
        finally:
            scene.index.entries.pop("odd")
            scene.index.put(scene.index.entries["newsletter"])
        ((_, recipients, raw),) = scene.mailer.sent
        assert recipients == ("s@x.example",)
        assert b'"Sales EU; Ltd, Co"' in raw
        assert 3_000 < raw.count(b"> " + line) < 3_500

    def test_what_is_typed_survives_sign_out_and_reload(
        self, browser: Browser, url: str, scene: WebmailScene
    ) -> None:
        browser.type("c")
        browser.until("return document.activeElement.name === 'to'")
        browser.type("bo@x.example", *[Keys.TAB] * 4, "in mid-sent")
        for key in [key for key in scene.table.kept if key[0] == "session"]:
            scene.table.delete(*key)
        browser.run("document.getElementById('compose').requestSubmit()")
        browser.until("return !document.getElementById('sign-in').hidden")
        assert scene.mailer.sent == []
        browser.until("return document.activeElement.name === 'secret'")
        browser.type(SECRET, Keys.ENTER)
        text = "const f = document.getElementById('compose'); return f && f.elements.text.value"
        assert browser.until(text) == "in mid-sent"
        browser.open(url)
        assert browser.until(text) == "in mid-sent"

    def test_a_lost_answer_is_told_and_not_sent_again(
        self, browser: Browser, scene: WebmailScene
    ) -> None:
        before = scene.mailer.asked
        scene.mailer.fails = [PerhapsSentError()]
        browser.type("c")
        browser.until("return document.activeElement.name === 'to'")
        browser.type("bo@x.example")
        for _ in range(2):
            browser.run("document.getElementById('compose').requestSubmit()")
            browser.until("return document.body.innerText.includes('Perhaps it is sent')")
            browser.until("return !document.querySelector('#compose [type=submit]').disabled")
        assert scene.mailer.asked == before + 1
        browser.run("document.querySelector('.anew').click()")
        browser.run("document.getElementById('compose').requestSubmit()")
        browser.until("return document.body.innerText.includes('It is sent.')")
        assert scene.mailer.asked == before + 2

    @pytest.mark.parametrize(
        ("meanwhile", "told"),
        [
            ({"state": "sending"}, "Perhaps it is sent"),
            ({"state": "accepted", "message_id": "0102-given"}, "It is sent."),
            ({"state": "refused", "reason": "SES does not take it."}, "SES does not take it."),
        ],
    )
    def test_what_was_perhaps_sent_can_be_looked_at_again(
        self, browser: Browser, scene: WebmailScene, meanwhile: dict[str, Any], told: str
    ) -> None:
        scene.mailer.fails = [PerhapsSentError()]
        before = scene.mailer.asked
        browser.type("c")
        browser.until("return document.activeElement.name === 'to'")
        browser.type("bo@x.example")
        browser.run("document.getElementById('compose').requestSubmit()")
        browser.until("return document.querySelector('.perhaps')")
        href = browser.run("return document.querySelector('.perhaps a').getAttribute('href')")
        assert re.fullmatch(r"#/inbox\?since=20\d\d-\d\d-\d\d", href)
        draft = browser.run(KEPT)[0]["draft"]
        scene.table.update("draft#anna", draft, meanwhile, expect={})
        browser.run("document.querySelector('#compose .problem').textContent = ''")
        browser.run("document.querySelector('.perhaps button').click()")
        browser.until(f"return document.body.innerText.includes({json.dumps(told)})")
        assert scene.mailer.asked == before + 1
        gone = told == "It is sent."
        assert not gone or browser.run("return !document.getElementById('compose')")

    def test_a_refusal_is_told_and_keeps_the_text(
        self, browser: Browser, scene: WebmailScene
    ) -> None:
        scene.mailer.fails = [SurelyNotSentError("SES refuses this mail: address not verified.")]
        browser.type("c")
        browser.until("return document.activeElement.name === 'to'")
        browser.type("bo@x.example")
        browser.run("document.getElementById('compose').requestSubmit()")
        browser.until("return document.body.innerText.includes('address not verified')")
        assert browser.run(KEPT)[0]["to"] == "bo@x.example"
        browser.run("document.getElementById('compose').requestSubmit()")
        browser.until("return document.body.innerText.includes('It is sent.')")


class TestStaying:
    @pytest.fixture(autouse=True)
    def later(self, browser: Browser, url: str, scene: WebmailScene) -> Iterator[None]:
        signed_in(browser, url)
        browser.run(
            "const real = Date.now; window.ahead = 0; Date.now = () => real() + window.ahead;"
        )
        now = scene.now
        yield
        scene.now = now

    @staticmethod
    def forward(browser: Browser, scene: WebmailScene | None, minutes: float) -> None:
        """Put the page's clock forward, and without `scene` the server's not."""
        if scene is not None:
            scene.now += minutes * 60
        browser.run("window.ahead += arguments[0]", minutes * 60 * 1_000)

    def test_a_warning_comes_a_minute_before_and_can_be_answered(
        self, browser: Browser, scene: WebmailScene
    ) -> None:
        shown = "return !document.getElementById('idle').hidden"
        self.forward(browser, scene, 13.5)
        time.sleep(1.2)
        assert not browser.run(shown)
        self.forward(browser, scene, 0.7)
        browser.until(shown)
        browser.run("document.getElementById('stay').click()")
        browser.until("return document.getElementById('idle').hidden")
        assert not browser.run("return document.getElementById('page').hidden")

    def test_the_page_ends_with_the_session(self, browser: Browser, scene: WebmailScene) -> None:
        browser.type("/", "gr\u00fc\u00dfe", Keys.ENTER)
        browser.until("return location.hash.includes('q=')")
        open_first(browser)
        assert browser.title == "Gr\u00fc\u00dfe"
        self.forward(browser, scene, 15.1)
        browser.until("return !document.getElementById('sign-in').hidden")
        assert "You were signed out." in browser.text
        assert browser.title == "Mail"
        searched = "return document.getElementById('search').elements.q.value"
        assert browser.run(f"{searched} + document.getElementById('mail').textContent") == ""

    def test_where_another_window_goes_on_nobody_is_warned_and_it_is_asked_for_once(
        self, browser: Browser
    ) -> None:
        browser.run(
            "const real = window.fetch; window.looks = 0; window.warnings = 0;"
            "window.fetch = (path, how) => { window.looks += path === '/api/session';"
            " return real(path, how); };"
            "const idle = document.getElementById('idle');"
            "new MutationObserver(() => { window.warnings += !idle.hidden; })"
            ".observe(idle, { attributes: true })"
        )
        self.forward(browser, None, 14.2)
        browser.until("return window.looks")
        time.sleep(2.2)
        assert browser.run("return [window.looks, window.warnings]") == [1, 0]

    def test_before_the_twelfth_hour_ends_nobody_is_asked_to_stay(
        self, browser: Browser, scene: WebmailScene
    ) -> None:
        began = round(scene.now) - LONGEST_SECONDS + 40
        for (holder, _), fields in scene.table.kept.items():
            if holder == "session":
                fields["began"] = began
        browser.run("window.ahead = 2 * 60 * 1000")
        browser.type("/", "x")
        browser.until("return !document.getElementById('idle').hidden")
        browser.until("return document.getElementById('stay').hidden")

    def test_who_types_is_there(self, browser: Browser, scene: WebmailScene) -> None:
        self.forward(browser, scene, 14.2)
        browser.until("return !document.getElementById('idle').hidden")
        browser.type("/", "x")
        browser.until("return document.getElementById('idle').hidden")

    def test_the_page_s_own_looks_say_that_they_are_its_own(
        self, browser: Browser, scene: WebmailScene
    ) -> None:
        def seen() -> list[str | int]:
            return [f["seen"] for (holder, _), f in scene.table.kept.items() if holder == "session"]

        before = seen()
        scene.now += 60
        try:
            asked = "fetch('/api/session', {headers: {'Postamt-By-Itself': '1'}})"
            assert browser.run(f"return {asked}.then((answer) => answer.status)") == 200
            assert seen() == before
            assert (
                browser.run("return fetch('/api/session').then((answer) => answer.status)") == 200
            )
            assert seen() != before
        finally:
            scene.now -= 60


def test_five_hundred_mails_are_all_there(browser: Browser, url: str, scene: WebmailScene) -> None:
    handed = scene.index.entries
    for number in range(500):
        name = f"many{number:03}"
        raw = b"From: a@b.example\r\nSubject: number %d\r\n\r\nhello" % number
        moment = f"2026-10-{1 + number // 20:02}T10:{number % 20:02}:00.000Z"
        scene.arrive(name, raw, to=("bruno@example.com",), received_at=moment)
    try:
        signed_in(browser, url, "bruno")
        count = "return document.querySelectorAll('#mails a').length"
        browser.until(f"{count} >= 50")
        before = 0
        while browser.run("return !document.getElementById('more').hidden"):
            before = browser.run(count)
            browser.run("document.getElementById('more').click()")
            browser.until(
                f"{count} > arguments[0] || document.getElementById('more').hidden", before
            )
        subjects = browser.run(
            "return [...document.querySelectorAll('#mails .subject')].map((e) => e.textContent)"
        )
        numbers = [text for text in subjects if text.startswith("number ")]
        assert numbers == [f"number {n}" for n in range(499, -1, -1)]
        browser.type("/", "number 499", Keys.ENTER)
        browser.until(f"{count} === 1")
    finally:
        for number in range(500):
            del handed[f"many{number:03}"]
        scene.index.put(next(iter(handed.values())))


KEPT = "return Object.values(localStorage).map((text) => JSON.parse(text))"


def test_the_page_is_small() -> None:
    files = {name: file.content for name, file in site().items() if name != "/"}
    whole = b"".join(files.values())
    assert len(files["/style.css"]) < 6_000
    assert len(whole) <= 60_000
    assert sum(len(gzip.compress(content)) for content in files.values()) <= 20_000
