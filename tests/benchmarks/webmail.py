"""How long the webmail takes to list, search and read, with 100,000 mails in the index.

    .venv/bin/python -m tests.benchmarks.webmail [mails]

The ports are in memory, so it is our own work that is timed: milliseconds of CPU, which a busy
machine does not change, and of the clock. Of three mailboxes one gets 98 % of
the mail, one 1 %, and one none. It is listed by walking through the index, and by the mailbox's
own list.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tests.doubles.webmail import WebBrowser, WebmailScene
from tests.webmail.test_reading_pages import NEWSLETTER


def percentiles_95(call: Callable[[int], object], times: int = 100) -> tuple[float, float]:
    """Return what 95 % of the calls stay below, in milliseconds of CPU and of the clock."""
    cpu, clock = [], []
    for number in range(times):
        began = time.process_time(), time.perf_counter()
        call(number)
        cpu.append(time.process_time() - began[0])
        clock.append(time.perf_counter() - began[1])
    most, longest = (sorted(took)[times * 95 // 100] * 1_000 for took in (cpu, clock))
    return most, longest


def pages(browser: WebBrowser, query: str = "") -> Callable[[int], object]:
    """Return a call that asks for the next page each time."""
    cursor = ""

    def page(_: int) -> object:
        nonlocal cursor
        found = browser.look(f"/api/mails?{query}&cursor={cursor}")
        cursor = found["cursor"]
        return found

    return page


def main(mails: int = 100_000) -> None:
    scene = filled(mails)
    assert scene.lines is not None
    for version, words in (("", "by walking through the index"), ("v1", "by the mailbox's list")):
        scene.lines.version = version
        print(words)
        measure(scene)


def filled(mails: int) -> WebmailScene:
    scene = WebmailScene(lists=True)
    scene.let_in("anna", "bruno")
    for number in range(mails):
        day = number * 900 // mails
        moment = f"{2026 - day // 336}-{12 - day // 28 % 12:02}-{28 - day % 28:02}"
        to = "bruno" if number % 100 == 0 else "anna"
        raw = b"From: a@b.example\r\nSubject: number %d\r\n\r\nx" % number
        scene.arrive(
            f"m{number}",
            raw,
            to=(f"{to}@example.com",),
            received_at=f"{moment}T10:{number % 60:02}:00.000Z",
        )
    scene.now += 40 * 86_400
    return scene


def measure(scene: WebmailScene) -> None:
    address = f"/api/mails/{scene.arrive('newsletter', NEWSLETTER)}"
    anna, bruno = scene.browser("anna"), scene.browser("bruno")
    anna.look("/api/mails")
    for what, call in (
        ("a page of the list", pages(anna)),
        ("the same, of 1 % of the mail", pages(bruno)),
        ("a search", pages(anna, "q=number 77")),
        ("a mail", lambda _: anna.look(address)),
        ("its conversation", lambda _: anna.look(f"{address}/conversation")),
        ("its HTML", lambda _: anna.get(f"{address}/html")),
    ):
        cpu, clock = percentiles_95(call)
        print(f"  {what:32} {cpu:8.1f} ms of CPU {clock:8.1f} ms (95 %)")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
