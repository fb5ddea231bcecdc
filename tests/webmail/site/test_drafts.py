"""What was chosen to go with a mail is kept as what was typed is: for its draft, to the byte."""

from __future__ import annotations

import email
import email.policy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from postamt_sync.webmail.mailer import PerhapsSentError, SurelyNotSentError
from tests.browser import Browser, needs_browser
from tests.doubles.webmail import SECRET, WebmailScene
from tests.webmail.page import served_scene, signed_in, there

pytestmark = [pytest.mark.slow, *needs_browser]

FILES = {
    "Pläne 1.bin": random.Random(1).randbytes(700_000),
    "empty": b"",
    "image.png": bytes(range(256)),
}
LISTED = (
    "return [...document.querySelectorAll('#compose [aria-label=Attachments] li')]"
    ".map((each) => each.firstChild.textContent.trim())"
)
KEPT = """
return new Promise((resolve) => {
  const asked = indexedDB.open("drafts", 1);
  asked.onsuccess = () => {
    const got = asked.result.transaction("files").objectStore("files").getAll();
    got.onsuccess = () => { asked.result.close(); resolve(got.result.flat().map((f) => f.name)); };
  };
});
"""


@pytest.fixture(scope="module")
def local() -> Iterator[tuple[WebmailScene, str]]:
    with served_scene() as (scene, url):
        scene.let_in("anna", "bruno")
        yield scene, url


@pytest.fixture
def scene(local: tuple[WebmailScene, str]) -> WebmailScene:
    scene = local[0]
    scene.mailer.sent.clear()
    scene.mailer.fails.clear()
    return scene


@pytest.fixture
def url(local: tuple[WebmailScene, str]) -> str:
    return local[1]


@pytest.fixture
def begun(browser: Browser, url: str, scene: WebmailScene, tmp_path: Path) -> Browser:
    """A mail with three files, which are no longer on the disk that they were chosen from."""
    signed_in(browser, url)
    browser.type("c")
    browser.until("return document.activeElement.name === 'to'")
    browser.type("clara@sender.example")
    names = list(FILES)
    for first, last in ((0, 1), (1, len(names))):
        paths = [tmp_path / name for name in names[first:last]]
        for path in paths:
            path.write_bytes(FILES[path.name])
        browser.choose("#compose input[type=file]", *paths)
        listed(browser, names[:last])
        until_kept(browser, names[:last])
        for path in paths:
            path.unlink()
    return browser


def until_kept(browser: Browser, names: list[str]) -> None:
    browser.until(
        f"{KEPT.strip()[:-1]}.then((found) => found.join() === arguments[0])", ",".join(names)
    )


def listed(browser: Browser, names: list[str]) -> None:
    """Wait until these are shown as attached."""
    browser.until(
        f"return document.getElementById('compose') && {LISTED[7:]}.join() === arguments[0]",
        ",".join(names),
    )


def send(browser: Browser) -> None:
    browser.run("document.querySelector('#compose [type=submit]').click()")


def until_sent(browser: Browser, scene: WebmailScene) -> list[tuple[str, bytes]]:
    """Return what was attached to the one mail that was sent."""
    browser.until("return !document.getElementById('compose')")
    ((_, _, raw),) = scene.mailer.sent
    parts: Any = email.message_from_bytes(raw, policy=email.policy.default)
    return [(part.get_filename(), part.get_content()) for part in parts.iter_attachments()]


def end_session(scene: WebmailScene) -> None:
    for key in [key for key in scene.table.kept if key[0] == "session"]:
        scene.table.delete(*key)


def sign_in_again(browser: Browser, mailbox: str) -> None:
    browser.until("return !document.getElementById('sign-in').hidden")
    browser.run(
        "const { mailbox } = document.getElementById('sign-in').elements;"
        "mailbox.value = ''; mailbox.focus()"
    )
    browser.type(mailbox, Keys.TAB, SECRET, Keys.ENTER)
    browser.until("return !document.getElementById('page').hidden")


def test_chosen_files_survive_a_reload(begun: Browser, url: str, scene: WebmailScene) -> None:
    begun.open(url)
    listed(begun, list(FILES))
    send(begun)
    assert until_sent(begun, scene) == list(FILES.items())
    until_kept(begun, [])


def test_chosen_files_survive_the_end_of_the_session(begun: Browser, scene: WebmailScene) -> None:
    end_session(scene)
    send(begun)
    sign_in_again(begun, "anna")
    listed(begun, list(FILES))
    assert scene.mailer.sent == []
    send(begun)
    assert until_sent(begun, scene) == list(FILES.items())


def test_chosen_files_survive_a_sign_out_and_are_nobody_else_s(
    begun: Browser, scene: WebmailScene
) -> None:
    begun.run("document.getElementById('sign-out').click()")
    begun.until("return document.getElementById('notice').innerText.includes('is kept in this')")
    sign_in_again(begun, "bruno")
    assert begun.run("return document.getElementById('compose')") is None
    begun.type("c")
    begun.until("return document.activeElement.name === 'to'")
    begun.type("x@y.example")
    send(begun)
    assert until_sent(begun, scene) == []
    scene.mailer.sent.clear()
    begun.run("document.getElementById('sign-out').click()")
    sign_in_again(begun, "anna")
    begun.run("document.getElementById('write').click()")
    begun.until("return document.querySelector('#mail .files button')")
    begun.run("document.querySelector('#mail .files button').click()")
    listed(begun, list(FILES))
    send(begun)
    assert until_sent(begun, scene) == list(FILES.items())


@pytest.mark.parametrize("reloads", [False, True])
def test_chosen_files_survive_a_failed_send(
    begun: Browser, url: str, scene: WebmailScene, reloads: bool
) -> None:
    scene.mailer.fails = [SurelyNotSentError("SES refuses this mail: too fast.")]
    send(begun)
    begun.until("return document.body.innerText.includes('too fast')")
    if reloads:
        begun.open(url)
        begun.until("return document.body.innerText.includes('too fast')")
        listed(begun, list(FILES))
    send(begun)
    assert until_sent(begun, scene) == list(FILES.items())


def test_two_windows_at_one_mail_lose_nothing_of_it(
    begun: Browser, url: str, scene: WebmailScene, tmp_path: Path
) -> None:
    begun.run("const { text } = document.getElementById('compose').elements; text.focus()")
    begun.type("first, ")
    more = tmp_path / "more.bin"
    more.write_bytes(b"more")
    with begun.second_window(url):
        begun.until("return !document.getElementById('page').hidden")
        begun.run("document.getElementById('write').click()")
        begun.until("return document.querySelector('#mail .files button')")
        begun.run("document.querySelector('#mail .files button').click()")
        listed(begun, list(FILES))
        begun.run("const { text } = document.getElementById('compose').elements; text.focus();"
                  "text.setSelectionRange(99, 99)")  # fmt: skip
        begun.type("second, ")
        begun.choose("#compose input[type=file]", more)
        listed(begun, [*FILES, "more.bin"])
        with begun.first_window():
            listed(begun, [*FILES, "more.bin"])
            begun.run("const { text } = document.getElementById('compose').elements; text.focus();"
                      "text.setSelectionRange(99, 99)")  # fmt: skip
            begun.type("third")
        text = "document.getElementById('compose').elements.text.value"
        begun.until(f"return {text} === 'first, second, third'")
        send(begun)
        assert until_sent(begun, scene) == [*FILES.items(), ("more.bin", b"more")]
        with begun.first_window():
            begun.until("return document.body.innerText.includes('in another window')")
            send(begun)
            begun.until("return !document.getElementById('compose')")
    assert len(scene.mailer.sent) == 1
    assert b"first, second, third" in scene.mailer.sent[0][2]


def test_one_is_taken_off_and_stays_off(begun: Browser, url: str, scene: WebmailScene) -> None:
    begun.run("document.querySelectorAll('#compose li button')[1].click()")
    left = [name for name in FILES if name != "empty"]
    listed(begun, left)
    until_kept(begun, left)
    begun.open(url)
    listed(begun, left)
    send(begun)
    assert [name for name, _ in until_sent(begun, scene)] == left


def test_what_is_thrown_away_is_gone(begun: Browser, url: str) -> None:
    begun.run(
        "[...document.querySelectorAll('#compose button')]"
        ".find((each) => each.textContent === 'Throw away').click()"
    )
    until_kept(begun, [])
    begun.open(url)
    there(begun)
    assert begun.run("return [localStorage.length, document.getElementById('compose')]") == [
        0,
        None,
    ]


def test_files_of_a_draft_that_is_no_more_do_not_stay(begun: Browser, url: str) -> None:
    begun.run("localStorage.clear()")
    begun.open(url)
    until_kept(begun, [])


MEANWHILE = """
return new Promise((resolve) => {
  const asked = indexedDB.open("drafts", 1);
  asked.onsuccess = () => {
    const work = asked.result.transaction("files", "readwrite");
    work.objectStore("files").put([new File(["x"], "late.bin")], "draft:anna:late");
    work.oncomplete = () => { asked.result.close(); resolve(); };
  };
}).then(() => {
  const real = IDBObjectStore.prototype.getAllKeys;
  IDBObjectStore.prototype.getAllKeys = function () {
    localStorage.setItem("draft:anna:late", JSON.stringify({ draft: "late", at: 1 }));
    return real.call(this);
  };
  return import("/drafts.js");
}).then(({ forgetOthers }) => forgetOthers());
"""


def test_files_of_a_draft_that_another_window_begins_meanwhile_stay(
    browser: Browser, url: str
) -> None:
    signed_in(browser, url)
    browser.run(MEANWHILE)
    until_kept(browser, ["late.bin"])


def test_a_mail_whose_end_was_lost_with_the_page_says_what_became_of_it(
    begun: Browser, url: str, scene: WebmailScene
) -> None:
    scene.mailer.fails = [PerhapsSentError()]
    before = scene.mailer.asked
    send(begun)
    begun.until("return document.querySelector('.perhaps')")
    begun.open(url)
    begun.until("return document.querySelector('.perhaps')")
    assert "Perhaps it is sent" in begun.text
    draft = json.loads(begun.run("return Object.values(localStorage)[0]"))["draft"]
    begun.run("document.querySelector('.anew').click()")
    until_kept(begun, list(FILES))
    begun.until(
        "return !Object.keys(localStorage).some((name) => name.includes(arguments[0]))", draft
    )
    send(begun)
    assert until_sent(begun, scene) == list(FILES.items())
    assert scene.mailer.asked == before + 2


BROKEN = """
const real = window.fetch;
window.back = () => { window.fetch = real; };
window.fetch = async (address, ...more) => {
  if (!String(address).match(/send|drafts/)) return real(address, ...more);
  if (String(address).includes("send") && arguments[0]) await real(address, ...more);
  throw new TypeError("the network went away");
};
"""


@pytest.mark.parametrize(("reached", "told"), [(True, "It is sent."), (False, "It was not sent.")])
def test_where_the_network_took_the_answer_the_page_says_perhaps_and_shows_how_to_see(
    browser: Browser, url: str, scene: WebmailScene, reached: bool, told: str
) -> None:
    signed_in(browser, url)
    browser.type("c")
    browser.until("return document.activeElement.name === 'to'")
    browser.type("clara@sender.example")
    browser.run(BROKEN, reached)
    send(browser)
    browser.until("return document.body.innerText.includes('Perhaps it is sent')")
    browser.run("document.querySelector('.perhaps button').click()")
    browser.until("return document.body.innerText.includes('The network is away')")
    browser.run("window.back(); document.querySelector('.perhaps button').click()")
    browser.until(f"return document.body.innerText.includes({json.dumps(told)})")
    assert len(scene.mailer.sent) == reached
    if not reached:
        send(browser)
        assert until_sent(browser, scene) == []


def test_files_that_cannot_be_kept_are_told_and_sent(
    browser: Browser, url: str, scene: WebmailScene, tmp_path: Path
) -> None:
    signed_in(browser, url)
    browser.run("IDBDatabase.prototype.transaction = () => { throw new DOMException('full'); }")
    browser.type("c")
    browser.until("return document.activeElement.name === 'to'")
    browser.type("clara@sender.example")
    path = tmp_path / "note.bin"
    path.write_bytes(b"note")
    browser.choose("#compose input[type=file]", path)
    browser.until("return document.body.innerText.includes('cannot keep attachments')")
    send(browser)
    assert until_sent(browser, scene) == [("note.bin", b"note")]
