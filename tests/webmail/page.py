"""The page in a browser: signed in and read as a person does, before a webmail in memory."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from selenium.webdriver.common.keys import Keys

from postamt_sync.webmail.day_place import S3DayPlace
from postamt_sync.webmail.local_server import LocalServer, listen_on_loopback, loopback_origins
from tests.browser import DESKTOP, Browser
from tests.doubles.webmail import SECRET, WebmailScene


@contextlib.contextmanager
def served_scene(day: S3DayPlace | None = None) -> Iterator[tuple[WebmailScene, str]]:
    """Serve a webmail in memory, and yield it with its address."""
    listening = listen_on_loopback(0)
    scene = WebmailScene(day=day, origins=loopback_origins(listening.getsockname()[1]))
    server = LocalServer(listening, scene.webmail, day.origin if day else "")
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    task = loop.create_task(server.run(ready.set))

    def serve() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(30)
        yield scene, server.url
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        listening.close()


def sign_in_page(browser: Browser, url: str) -> None:
    """Be someone who has nothing in this browser, with the focus in the first field."""
    browser.resize(DESKTOP)
    browser.open(url)
    there(browser)
    browser.run(BEGIN_ANEW)


def there(browser: Browser) -> None:
    """Wait until the page knows whether someone is signed in."""
    browser.until("return !document.getElementById('sign-in').hidden "
                  "|| !document.getElementById('page').hidden")  # fmt: skip


_SHOWN = """
const shown = (id) => new Promise((resolve) => {
  const node = document.getElementById(id);
  const look = () => { if (!node.hidden) { watcher.disconnect(); resolve(); } };
  const watcher = new MutationObserver(look);
  watcher.observe(node, { attributes: true });
  look();
});
"""
BEGIN_ANEW = (
    _SHOWN
    + """
localStorage.clear();
sessionStorage.clear();
return new Promise((resolve) => {
  const asked = indexedDB.open("drafts", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("files");
  asked.onsuccess = () => {
    const work = asked.result.transaction("files", "readwrite");
    work.objectStore("files").clear();
    work.oncomplete = () => { asked.result.close(); resolve(); };
  };
}).then(() => {
  if (document.getElementById("sign-in").hidden) document.getElementById("sign-out").click();
  return shown("sign-in");
}).then(() => {
  const { mailbox, secret } = document.getElementById("sign-in").elements;
  mailbox.value = secret.value = "";
  mailbox.focus();
});
"""
)
SIGN_IN = (
    _SHOWN
    + """
const form = document.getElementById("sign-in");
[form.elements.mailbox.value, form.elements.secret.value] = arguments;
form.requestSubmit();
return shown("page");
"""
)


def signed_in(browser: Browser, url: str, mailbox: str = "anna") -> None:
    """Be someone who signs in and has begun no mail, whoever had this browser before."""
    sign_in_page(browser, url)
    browser.run(SIGN_IN, mailbox, SECRET)
    until_listed(browser)


def until_listed(browser: Browser) -> None:
    """Wait until the page has asked which mails there are."""
    browser.until("return !document.getElementById('page').hidden")
    browser.until("return !document.getElementById('list-state').textContent.startsWith('Looking')")


def open_first(browser: Browser) -> None:
    browser.until("return document.querySelector('#mails a')")
    browser.type("j", Keys.ENTER)
    browser.until("return document.querySelector('#mail h1')")
