"""The first time that a disk does not answer, nobody else's mail waits: neither that of the same
group nor of the next. Nothing here waits until a disk is given up: it never is.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from postamt_sync.delivery.fetcher import SMALL as LARGEST_SMALL
from tests.delivery.home import Home
from tests.doubles.disk import FaultyDisk

pytestmark = pytest.mark.slow

SMALL = b"Subject: x\r\n\r\nmail\r\n"
LARGE = SMALL + b"x" * LARGEST_SMALL
NEVER = 3600.0
CALLS = ["create", "write", "sync", "sync_directory", "rename"]


class Gate:
    """What calls of a kind below a root wait for."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        self._open.wait(300)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path, ("anna", "bruno", "carla"), FaultyDisk(), patience=NEVER)
    for name in home.people:
        home.mailboxes.ready(name)
    yield home
    home.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def send(home: Home, key: str, *people: str, body: bytes = SMALL) -> None:
    home.bucket.put(key, body + key.encode())
    home.announce(key, *people)


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


async def until_settled(home: Home, *keys: str) -> None:
    """Wait for mails, none of which pauses between two attempts."""

    def look() -> bool:
        home.ledger.work.retry_now()
        return settled(home, *keys)

    await until(look)


@asynccontextmanager
async def delivering(home: Home) -> AsyncIterator[None]:
    running = asyncio.create_task(home.courier(looks_every=0.05).run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def settled(home: Home, *keys: str) -> bool:
    return all(home.state(key) == "delivered" for key in keys)


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("call", CALLS)
async def test_nobody_else_waits(home: Home, gate: Gate, call: str, body: bytes) -> None:
    home.disk.break_(call, 0, below=home.root("anna"), first=gate)
    for number in range(4):
        send(home, f"a{number}", "anna", body=body)
        send(home, f"b{number}", "bruno", body=body)
    send(home, "all", "anna", "bruno", "carla", body=body)
    async with delivering(home):
        await until(gate.reached.is_set)
        await until(lambda: len(home.mails("bruno")) == 5 and len(home.mails("carla")) == 1)
        await until(lambda: settled(home, *(f"b{number}" for number in range(4))))
        for number in range(4, 6):
            send(home, f"b{number}", "bruno", "carla", body=body)
            await until(lambda number=number: settled(home, f"b{number}"))
        owed = home.deliveries("all")
        assert (owed["bruno"], owed["carla"]) == ("delivered", "delivered")
        assert owed["anna"] in {"waiting", "prepared"}
        assert home.state("all") == "waiting", "it is not forgotten whose copy is missing"
        gate.open()
        await until_settled(home, "all", *(f"a{number}" for number in range(4)))
    for name, count in (("anna", 5), ("bruno", 7), ("carla", 3)):
        assert len(home.mails(name)) == len(set(home.bodies(name))) == count
        assert home.drafts(name) == []
    assert home.disk.open_files == []
    created = Counter(path for path in home.disk.paths("create") if path.parent.name == "tmp")
    if body is SMALL:
        assert set(created.values()) == {1}, "what was begun is gone on with, not started over"


async def test_the_steps_stay_in_their_order(home: Home, gate: Gate) -> None:
    home.disk.break_("sync", 0, below=home.root("anna") / "tmp", first=gate)
    send(home, "both", "anna", "bruno")
    async with delivering(home):
        await until(lambda: home.deliveries("both").get("bruno") == "delivered")
        assert home.deliveries("both")["anna"] == "waiting", "only what is durable is prepared"
        home.disk.calls.clear()
        gate.open()
        await until(lambda: settled(home, "both"))
    below = [c for c in home.disk.calls if c.path.is_relative_to(home.root("anna"))]
    names = [f"{c.name} {c.path.name if c.name == 'sync_directory' else ''}".strip() for c in below]
    assert names[:6] == [
        "size",
        "close",
        "sync_directory tmp",
        "rename",
        "sync_directory new",
        "sync_directory tmp",
    ]


async def test_two_disks_that_are_late_do_not_wait_for_each_other(home: Home, gate: Gate) -> None:
    other = Gate()
    home.disk.break_("create", 0, below=home.root("anna"), first=gate)
    home.disk.break_("rename", 0, below=home.root("carla"), first=other)
    send(home, "all", "anna", "bruno", "carla")
    async with delivering(home):
        await until(lambda: home.deliveries("all").get("bruno") == "delivered")
        other.open()
        await until(lambda: home.deliveries("all")["carla"] == "delivered")
        assert home.state("all") == "waiting"
        gate.open()
        await until(lambda: settled(home, "all"))
    assert [len(home.mails(name)) for name in home.people] == [1, 1, 1]


@pytest.mark.parametrize("call", CALLS)
async def test_a_process_that_ends_meanwhile_leaves_it_to_the_next(
    home: Home, gate: Gate, call: str
) -> None:
    """The end waits for no disk, and what the disk does after it changes nothing."""
    home.disk.break_(call, 0, below=home.root("anna"), first=gate)
    send(home, "both", "anna", "bruno")
    async with delivering(home):
        await until(lambda: home.deliveries("both").get("bruno") == "delivered")
    threads = home.mailboxes.find("anna").threads
    home.reopen()
    gate.open()
    await until(lambda: threads is None or threads.busy == 0)
    await home.deliver()
    assert [len(home.mails(name)) for name in ("anna", "bruno")] == [1, 1]
    assert settled(home, "both")


async def test_mail_that_comes_while_a_disk_is_late_is_not_fetched_for_it(
    home: Home, gate: Gate
) -> None:
    home.disk.break_("create", 0, below=home.root("anna"), first=gate)
    send(home, "first", "anna")
    send(home, "for bruno", "bruno")
    async with delivering(home):
        await until(lambda: settled(home, "for bruno"))
        gets = home.bucket.gets
        for number in range(200):  # more than can be on the way at once
            send(home, f"a{number}", "anna")
        send(home, "for carla", "carla")
        await until(lambda: settled(home, "for carla"))
        assert home.bucket.gets == gets + 1
        assert "does not answer" in home.problem("a0")


async def test_large_mails_that_wait_leave_their_places_to_others(home: Home, gate: Gate) -> None:
    """As many are being written as may be fetched at once when the disk ceases to answer."""
    for number in range(40):
        send(home, f"a{number}", "anna", body=LARGE)
    held = threading.Semaphore(0)

    def hold() -> None:
        held.release()
        gate()

    home.disk.break_("write", 0, below=home.root("anna"), first=hold)
    async with delivering(home):
        await until(gate.reached.is_set)
        send(home, "for bruno", "bruno", body=LARGE)
        await until(lambda: settled(home, "for bruno"))
        home.disk.mend()
        gate.open()
