"""The page says whether the network is there, says how long work goes on, and can be installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser import Browser, needs_browser
from tests.doubles.webmail import WebmailScene
from tests.webmail.page import served_scene, signed_in

pytestmark = [pytest.mark.slow, *needs_browser]

TOLD = """
const notice = document.getElementById('notice');
return !notice.hidden && notice.textContent === arguments[0];
"""
STUBBED = """
window.real = window.fetch;
window.fetch = (...asked) => window.answers.length ? window.answers.shift()() : real(...asked);
window.answers = [];
"""
GONE = "window.answers.push(() => Promise.reject(new TypeError('no network')));"
LOOK = "window.dispatchEvent(new Event('online'));"


@pytest.fixture(scope="module")
def local() -> Iterator[tuple[WebmailScene, str]]:
    with served_scene() as (scene, url):
        scene.let_in("anna")
        scene.arrive("tea")
        yield scene, url


@pytest.fixture
def page(browser: Browser, local: tuple[WebmailScene, str]) -> Browser:
    signed_in(browser, local[1])
    return browser


def told(page: Browser, text: str) -> None:
    """Wait until the page says so."""
    page.until(TOLD, text)


def test_it_can_be_installed(page: Browser) -> None:
    assert page.why_not_installed() == []


def test_it_says_that_it_is_offline_for_as_long_as_it_is(page: Browser) -> None:
    page.network(there=False)
    try:
        told(page, "You are offline. What you see may be old.")
        assert page.run("return document.querySelectorAll('#mails a').length") == 1
    finally:
        page.network(there=True)
    told(page, "You are online again.")


@pytest.mark.parametrize("by", ["itself", "a person"])
def test_an_answer_ends_what_a_lost_one_said(page: Browser, by: str) -> None:
    page.run(STUBBED + GONE + LOOK)
    told(page, "The network is away. What you see may be old.")
    if by == "itself":
        page.run(LOOK)
    else:
        page.type("j", Keys.ENTER)
    told(page, "You are online again.")


def test_what_is_said_meanwhile_does_not_end_it(page: Browser) -> None:
    page.run(STUBBED + GONE + LOOK)
    told(page, "The network is away. What you see may be old.")
    page.run(
        "const later = setTimeout; window.setTimeout = (call) => later(call, 0);"
        "return import('/dom.js').then(({ notice }) => notice('Something else.'))"
    )
    told(page, "The network is away. What you see may be old.")


def test_a_long_search_says_how_far_it_is_and_shows_what_it_has(page: Browser) -> None:
    page.run(
        STUBBED
        + "const some = { id: 'x', from: 'a@b.example', to: '', subject: 'found', links: [],"
        " received: '2026-11-01T10:00:00.000Z', size: 1, seen: true, warning: '' };"
        "const answer = (said) => new Response(JSON.stringify(said));"
        "window.answers.push(() => answer({ mails: [some], cursor: 'y', reached: '2026-10' }),"
        " () => new Promise((resolve) => {"
        "  window.end = () => resolve(answer({ mails: [], cursor: '', reached: '' })); }))"
    )
    state = "document.getElementById('list-state')"
    page.type("/", "found", Keys.ENTER)
    page.until(f"return {state}.textContent === 'Looking … as far back as October 2026'")
    assert page.run(f"return {state}.getAttribute('role')") == "status"
    assert page.run("return document.querySelectorAll('#mails a').length") == 1
    page.run("window.end()")
    page.until(f"return {state}.textContent === ''")


@pytest.mark.parametrize(
    ("zone", "begins"), [("America/Los_Angeles", "08:00"), ("Europe/Berlin", "23:00")]
)
def test_days_are_those_of_whoever_searches(page: Browser, zone: str, begins: str) -> None:
    page.in_zone(zone)
    try:
        page.run(
            "window.real = window.fetch; window.asked = [];"
            "window.fetch = (path, how) => { window.asked.push(path); return real(path, how); };"
            "location.hash = '#/inbox?since=2026-11-27&until=2026-11-27'"
        )
        page.until("return window.asked.some((path) => path.includes('since='))")
        sent = page.run(
            "return Object.fromEntries(new URL(window.asked[0], location).searchParams)"
        )
    finally:
        page.in_zone("")
    first, next_ = (27, 28) if begins < "12" else (26, 27)
    assert sent["since"] == f"2026-11-{first}T{begins}:00.000Z"
    assert sent["until"] == f"2026-11-{next_}T{begins}:00.000Z"
