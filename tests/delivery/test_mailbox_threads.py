"""A disk that never answers is one mailbox's trouble, also in time."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.delivery.fetcher import SMALL
from postamt_sync.delivery.mailbox_threads import MOST, HangingDiskError, MailboxThreads
from tests.delivery.home import Home
from tests.doubles.clock import Clock
from tests.doubles.disk import FaultyDisk

BODY = b"Subject: x\r\n\r\nmail\r\n"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging call waits for."""
    event = threading.Event()
    yield event
    event.set()


class TestThreads:
    def test_return_and_raise_what_the_call_does(self) -> None:
        threads = MailboxThreads("anna")
        assert threads.call(divmod, 7, 2) == (3, 1)
        for error in (ZeroDivisionError, KeyboardInterrupt, TimeoutError):
            with pytest.raises(error):
                threads.call(_raise, error)

    def test_are_used_by_a_call_within_a_call(self) -> None:
        threads = MailboxThreads("anna")
        assert threads.call(lambda: threads.call(threading.get_ident) == threading.get_ident())

    def test_that_hang_fail_whoever_asks(self, gate: threading.Event) -> None:
        threads = MailboxThreads("anna", patience=0.1)
        with pytest.raises(HangingDiskError, match="disk of anna"):
            threads.call(gate.wait)
        assert threads.hang()
        ran: list[int] = []
        with pytest.raises(HangingDiskError):
            threads.call(ran.append, 1)
        assert ran == [], "nothing is begun where nothing is answered"

    def test_that_answer_again_are_used_again(self, gate: threading.Event) -> None:
        threads = MailboxThreads("anna", patience=0.1)
        with pytest.raises(HangingDiskError):
            threads.call(gate.wait)
        done = threading.Event()
        threads.later(done.set)
        gate.set()
        assert done.wait(60)
        while threads.hang():
            time.sleep(0.01)
        assert threads.call(int, "1") == 1

    def test_that_are_slow_do_not_hang(self) -> None:
        """Each call is within the patience, and all of them are far beyond it."""
        clock = Clock()
        threads = MailboxThreads("anna", patience=1.0, clock=clock)

        def take_a_while() -> None:
            clock.now += 0.9

        for _ in range(5):
            threads.call(take_a_while)
        assert clock.now > 4

    def test_are_so_many_at_the_most(self, gate: threading.Event) -> None:
        threads = MailboxThreads("counted", patience=0.1)
        for _ in range(3 * MOST):
            threads.later(gate.wait)
        alive = [thread for thread in threading.enumerate() if thread.name == "counted"]
        assert len(alive) == MOST

    def test_do_not_keep_a_process_from_its_end(self) -> None:
        program = (
            "import threading; from postamt_sync.delivery.mailbox_threads import MailboxThreads;"
            "threads = MailboxThreads('anna'); threads.later(threading.Event().wait)"
        )
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def _raise(error: type[BaseException]) -> None:
    raise error


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Home]:
    """A home that soon takes the disk of anna for hanging, and nobody else's on a busy machine."""
    home = Home(tmp_path, disk=FaultyDisk(), patience=600)
    home.mailboxes.ready("anna")
    home.mailboxes.find("anna").threads = MailboxThreads("anna", patience=0.3)
    yield home
    home.close()


async def delivered(home: Home, name: str, count: int) -> list[bytes]:
    """Return what a mailbox has once it has so many mails, pass after pass."""
    until = time.monotonic() + 60
    while len(home.mails(name)) < count and time.monotonic() < until:
        await home.deliver()
        time.sleep(0.05)  # what hung has still to come to its end
    return home.bodies(name)


@pytest.mark.slow
@pytest.mark.parametrize("size", [len(BODY), SMALL + 1], ids=["small", "large"])
@pytest.mark.parametrize("call", ["create", "write", "sync", "sync_directory", "rename"])
async def test_a_disk_that_hangs_holds_up_nobody_else(
    hanging: Home, gate: threading.Event, call: str, size: int
) -> None:
    home = hanging
    body = BODY + b"x" * (size - len(BODY))
    home.mailboxes.ready("bruno")
    home.disk.break_(call, 0, below=home.root("anna"), times=1, first=gate.wait)
    for number in range(6):
        home.bucket.put(f"k{number}", body)
        home.announce(f"k{number}", "anna" if number % 2 else "bruno")
    began = time.monotonic()
    await home.deliver()
    assert time.monotonic() - began < 50, "neither a publisher nor the end waits for the disk"
    assert await delivered(home, "bruno", 3) == [body] * 3
    waiting = [home.problem(f"k{number}") for number in (1, 3, 5)]
    assert any("does not answer" in problem for problem in waiting)
    gate.set()
    assert await delivered(home, "anna", 3) == [body] * 3
    await home.deliver()
    assert {home.state(f"k{number}") for number in range(6)} == {"delivered"}
    assert home.drafts("anna") == []
    assert home.disk.open_files == []


@pytest.mark.slow
async def test_a_mail_for_both_is_in_the_healthy_one_at_once(
    hanging: Home, gate: threading.Event
) -> None:
    home = hanging
    home.bucket.put("both", BODY)
    home.announce("both", "anna", "bruno")
    home.disk.break_("create", 0, below=home.root("anna"), times=1, first=gate.wait)
    assert await delivered(home, "bruno", 1) == [BODY]
    assert home.deliveries("both")["anna"] == "waiting"


def test_threads_end_with_whom_they_were_for() -> None:
    threads = MailboxThreads("forgotten")
    assert threads.call(lambda: 1) == 1
    assert names().count("forgotten") == 1
    del threads
    gc.collect()
    assert all_ended("forgotten")


def test_what_is_still_to_be_done_is_done_for_someone_forgotten() -> None:
    done, gate = threading.Event(), threading.Event()
    threads = MailboxThreads("late")
    threads.later(gate.wait)
    threads.later(done.set)
    del threads
    gc.collect()
    gate.set()
    assert done.wait(20)
    assert all_ended("late")


def all_ended(name: str) -> bool:
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(30)
    return name not in names()


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]
