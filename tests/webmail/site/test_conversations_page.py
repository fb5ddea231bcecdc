"""Conversations in the page: one row, opened as a whole, by keyboard alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser import Browser, needs_browser
from tests.doubles.webmail import WebmailScene
from tests.webmail.page import served_scene, signed_in

pytestmark = [pytest.mark.slow, *needs_browser]

ROWS = "return [...document.querySelectorAll('#mails a')].map((a) => a.innerText)"


def arrive(scene: WebmailScene, name: str, minute: int, *, more: str = "") -> None:
    raw = (
        f"From: {name}@b.example\r\nSubject: {name}\r\nMessage-ID: <{name}@x>\r\n{more}\r\n{name}!"
    )
    scene.arrive(name, raw.encode(), received_at=f"2026-11-27T10:{minute:02}:00.000Z")


def test_a_conversation_is_one_row_and_is_opened_as_a_whole(
    browser: Browser, tmp_path: Path
) -> None:
    with served_scene() as (scene, url):
        scene.let_in("anna")
        arrive(scene, "first", 1)
        arrive(scene, "alone", 2, more="Content-Type: multipart/mixed; boundary=b\r\n")
        arrive(scene, "second", 3, more="References: <first@x>\r\n")
        signed_in(browser, url)
        browser.until("return document.querySelectorAll('#mails a').length === 2")
        first, other = browser.run(ROWS)
        assert "second" in first
        assert "(2)" in first
        assert "(2" not in other
        assert browser.run("return document.querySelectorAll('#mails [role=img]').length") == 1

        browser.type("j", Keys.ENTER)
        browser.until("return document.querySelector('#mail section')")
        browser.until("return document.querySelector('#mail').innerText.includes('first!')")
        assert "second!" in browser.text
        browser.until("return !document.querySelector('#mails li:first-child a.unread')")
        browser.picture(tmp_path / "conversation.png")

        # The other mail closed and opened again, by keyboard alone.
        browser.type("n", Keys.ENTER)
        browser.until("return !document.querySelector('#mail details').open")
        browser.type(Keys.ENTER)
        browser.until("return document.querySelector('#mail details').open")

        # What comes meanwhile joins its row, on top, when the page looks again; who is on it stays.
        browser.run("document.querySelector('#mails a').focus()")
        arrive(scene, "third", 4, more="In-Reply-To: <second@x>\r\n")
        browser.run("window.dispatchEvent(new Event('online'))")
        browser.until("return document.querySelector('#mails a').innerText.includes('third')")
        (row, _) = browser.run(ROWS)
        assert "(3)" in row
        assert "Unread" in row
        assert browser.run("return document.querySelector('#mails a:focus').innerText") == row


def test_an_older_mail_from_a_later_page_joins_the_row_that_is_there(browser: Browser) -> None:
    with served_scene() as (scene, url):
        scene.let_in("anna")
        arrive(scene, "old", 0)
        for number in range(60):
            arrive(scene, f"m{number}", 1 + number // 2)
        arrive(scene, "new", 50, more="References: <old@x>\r\n")
        signed_in(browser, url)
        browser.until("return document.querySelectorAll('#mails a').length === 50")
        browser.run("document.getElementById('more').click()")
        browser.until("return document.getElementById('more').hidden")
        browser.until("return document.querySelector('#mails a').innerText.includes('(2')")
        assert browser.run("return document.querySelectorAll('#mails a').length") == 61
