"""Every view of the page as axe-core judges it, and by the keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser import DESKTOP, PHONE, Browser, needs_browser
from tests.doubles.webmail import SECRET, WebmailScene
from tests.support.campaign import spread
from tests.webmail.page import open_first, served_scene, sign_in_page, signed_in
from tests.webmail.test_reading_pages import NEWSLETTER

pytestmark = [pytest.mark.slow, *needs_browser]

PLAIN = (
    b"From: Clara <clara@sender.example>\r\nTo: anna@example.com\r\nSubject: Tea\r\n"
    b"Message-ID: <tea@sender.example>\r\n\r\nDear Anna,\r\n\r\nthe kettle is on.\r\n"
)
ANSWER = (
    b"From: Clara <clara@sender.example>\r\nTo: anna@example.com\r\nSubject: Re: Tea\r\n"
    b"In-Reply-To: <tea@sender.example>\r\nReferences: <tea@sender.example>\r\n\r\nAnd scones.\r\n"
)

JUDGE = """
const [rules] = arguments;
return axe.run(document, {
  iframes: false,  // the mail is its sender's
  preload: false,  // the page's own styles are there, and it plays nothing
  resultTypes: ['violations'],
  ...(rules.length ? { runOnly: { type: 'rule', values: rules } } : {}),
}).then(({ violations }) => violations.flatMap(({ id, impact, nodes }) =>
  nodes.map(({ target, failureSummary }) => [impact, id, target.join(' '), failureSummary])));
"""
OF_COLOURS = ("color-contrast", "link-in-text-block")
"""The rules by which a page may be worse in the dark, where nothing but its colours differs."""


@pytest.fixture(scope="module")
def local() -> Iterator[tuple[WebmailScene, str]]:
    with served_scene() as (scene, url):
        scene.let_in("anna", "bruno")
        scene.arrive("tea", PLAIN, received_at="2026-11-27T08:00:00.000Z")
        scene.arrive("scones", ANSWER, received_at="2026-11-27T09:00:00.000Z")
        scene.arrive("newsletter", NEWSLETTER)
        yield scene, url


@pytest.fixture
def url(local: tuple[WebmailScene, str]) -> str:
    return local[1]


def judged(browser: Browser, *rules: str) -> list[Any]:
    """Return what axe-core finds to be serious, or worse, on what is shown now; by all its rules
    unless some are named.
    """
    if not browser.run("return typeof axe === 'object'"):
        axe = resources.files("selenium_axe_python") / "axe-core" / "axe.min.js"
        browser.run(axe.read_text())
    found: list[Any] = browser.run(JUDGE, rules)
    return [each for each in found if each[0] in {"serious", "critical"}]


def test_a_fault_would_be_found(browser: Browser, url: str) -> None:
    sign_in_page(browser, url)
    browser.run(
        "const pale = document.createElement('p'); pale.id = 'pale';"
        "pale.textContent = 'Hardly to be read.'; document.getElementById('sign-in').append(pale);"
        "document.getElementById('sign-in').append(document.createElement('img'));"
        "document.styleSheets[0].insertRule('#pale { color: #ddd; background: #eee }', 0)"
    )
    found = {each[1] for each in judged(browser)}
    alone = {each[1] for each in judged(browser, *OF_COLOURS)}
    browser.run(
        "document.getElementById('pale').nextSibling.remove();"
        "document.getElementById('pale').remove()"
    )
    assert {"color-contrast", "image-alt"} <= found
    assert alone == {"color-contrast"}


def wrong_secret(browser: Browser, url: str) -> None:
    sign_in_page(browser, url)
    browser.type("anna", Keys.TAB, "wrong", Keys.ENTER)
    browser.until("return document.querySelector('.problem').textContent.length > 12")


def the_list(browser: Browser, url: str) -> None:
    signed_in(browser, url)
    browser.until("return document.querySelector('#mails a')")


def empty_list(browser: Browser, url: str) -> None:
    signed_in(browser, url, "bruno")


def found_nothing(browser: Browser, url: str) -> None:
    the_list(browser, url)
    browser.type("/", "nothing like it", Keys.ENTER)
    browser.until("return document.body.innerText.includes('Nothing was found')")


def html_mail(browser: Browser, url: str) -> None:
    the_list(browser, url)
    open_first(browser)
    browser.until("return document.querySelector('#mail iframe')")


def conversation(browser: Browser, url: str) -> None:
    the_list(browser, url)
    browser.type("j", "j", Keys.ENTER)
    browser.until("return document.querySelector('#mail h1')")


def composing(browser: Browser, url: str) -> None:
    html_mail(browser, url)
    browser.type("r")
    browser.until("return document.getElementById('compose')")


def refused_mail(browser: Browser, url: str) -> None:
    composing(browser, url)
    browser.run("document.querySelector('#compose [name=to]').value = 'nobody'")
    browser.run("document.querySelector('#compose [type=submit]').click()")
    browser.until("return document.querySelector('#compose ~ *, #compose .problem').textContent")


def the_keys(browser: Browser, url: str) -> None:
    the_list(browser, url)
    browser.type("?")
    browser.until("return document.getElementById('help').open")


def the_menus(browser: Browser, url: str) -> None:
    the_list(browser, url)
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true")


VIEWS = [
    sign_in_page,
    wrong_secret,
    the_list,
    empty_list,
    found_nothing,
    html_mail,
    conversation,
    composing,
    refused_mail,
    the_keys,
    the_menus,
]


@pytest.mark.parametrize("view", spread(VIEWS, 2), ids=lambda view: view.__name__)
def test_no_view_has_a_serious_fault(browser: Browser, url: str, view: Any) -> None:
    view(browser, url)
    found = {}
    for width in (DESKTOP, PHONE):
        for dark in (False, True):
            browser.resize(width, dark=dark)
            if faults := judged(browser, *(OF_COLOURS if dark else ())):
                found[width, dark] = faults
    assert found == {}


def focus(browser: Browser) -> str:
    """Return what the focus is on, as a person would call it."""
    return str(
        browser.run(
            "const e = document.activeElement;"
            "return e.getAttribute('aria-label') || e.name || e.textContent.trim().slice(0, 30)"
        )
    )


def tabbed(browser: Browser, wanted: str, most: int = 40) -> None:
    """Press Tab until something has the focus."""
    seen = []
    for _ in range(most):
        if (here := focus(browser)) == wanted:
            return
        seen.append(here)
        browser.type(Keys.TAB)
    raise AssertionError((wanted, seen))


def test_everything_can_be_done_by_keyboard(
    browser: Browser, local: tuple[WebmailScene, str]
) -> None:
    scene, url = local
    sign_in_page(browser, url)
    assert focus(browser) == "mailbox"
    browser.type("anna", Keys.TAB, SECRET, Keys.ENTER)
    browser.until("return document.querySelector('#mails a')")
    browser.run("document.body.focus()")
    browser.type("c")
    browser.until("return document.activeElement.name === 'to'")
    browser.type("clara@sender.example")
    tabbed(browser, "subject", 5)
    browser.type("By keys", Keys.TAB, "Hello.")
    tabbed(browser, "Send", 6)
    browser.type(Keys.ENTER)
    browser.until("return !document.getElementById('compose')")
    assert b"Subject: By keys" in scene.mailer.sent[-1][2]
    browser.type("?")
    browser.until("return document.getElementById('help').open")
    browser.type(Keys.ESCAPE)
    browser.until("return !document.getElementById('help').open")
    browser.run("document.activeElement.blur()")
    tabbed(browser, "anna")
    browser.type(Keys.ENTER)
    tabbed(browser, "Sign out", 4)
    browser.type(Keys.ENTER)
    browser.until("return !document.getElementById('sign-in').hidden")


def test_j_and_k_go_through_the_list_and_the_mail_follows(browser: Browser, url: str) -> None:
    the_list(browser, url)
    at = "return [...document.querySelectorAll('#mails a')].indexOf(document.activeElement)"
    seen = []
    for key in "jjjkk":
        browser.type(key)
        seen.append(browser.run(at))
    assert seen == [0, 1, 1, 0, 0]
    browser.type(Keys.ENTER)
    browser.until("return document.title === 'Gr\u00fc\u00dfe'")
    browser.type("j")
    browser.until("return document.title === 'Re: Tea'")
    browser.type("k")
    browser.until("return document.title === 'Gr\u00fc\u00dfe'")


def test_an_answer_that_comes_late_takes_the_focus_from_nobody(browser: Browser, url: str) -> None:
    the_list(browser, url)
    browser.run(
        "const real = window.fetch;"
        "window.fetch = (...asked) => new Promise((resolve) => {"
        "  window.answered = () => { window.fetch = real; resolve(real(...asked)); }; });"
    )
    browser.type("j", Keys.ENTER)
    browser.until("return Boolean(window.answered)")
    browser.type("/", "te")
    browser.run("window.answered()")
    browser.until("return document.querySelector('#mail h1')")
    browser.type("a")
    assert browser.run("return document.activeElement.value") == "tea"


def test_the_focus_is_seen_wherever_it_is(browser: Browser, url: str) -> None:
    html_mail(browser, url)
    browser.run("document.activeElement.blur()")
    for _ in range(25):
        browser.type(Keys.TAB)
        seen = browser.run(
            "const e = document.activeElement, s = getComputedStyle(e);"
            "return e === document.body || e.tagName === 'IFRAME' || e.tagName === 'MAIN'"
            " || e.tagName === 'ARTICLE' || s.outlineStyle !== 'none' || s.boxShadow !== 'none'"
        )
        assert seen, focus(browser)
