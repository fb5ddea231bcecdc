"""What systemd hears while mail moves, and while it stands still."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.app.sd_notify import Systemd
from postamt_sync.app.watchdog import STILL_FOR, Watchdog
from tests.delivery.home import Home, MemoryBucket
from tests.doubles.clock import Clock

pytestmark = pytest.mark.slow

SIGN = b"WATCHDOG=1"


class SlowBucket(MemoryBucket):
    """Gives nothing out until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may = asyncio.Event()

    @asynccontextmanager
    async def fetch(self, key: str, *, etag: str | None = None) -> AsyncIterator[Any]:
        self.asked.set()
        await self.may.wait()
        async with super().fetch(key, etag=etag) as reading:
            yield reading


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.close()


@contextmanager
def manager(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        listening.setblocking(False)
        yield listening


def heard(listening: socket.socket) -> int:
    """Return how many signs of life have come since the last time."""
    signs = 0
    with suppress(BlockingIOError):
        while True:
            signs += listening.recv(4096) == SIGN
    return signs


async def lives(listening: socket.socket) -> bool:
    """Wait for the next sign of life."""
    heard(listening)
    while not heard(listening):
        await asyncio.sleep(0.01)
    return True


async def is_silent(listening: socket.socket) -> bool:
    """Tell whether no sign comes while the watchdog looks a few times."""
    heard(listening)
    await asyncio.sleep(0.1)
    return not heard(listening)


async def test_mail_that_stands_still_is_no_life_until_it_moves(home: Home, tmp_path: Path) -> None:
    home.bucket, clock = SlowBucket(), Clock()
    home.bucket.put("a", b"S: a\r\n\r\na")
    home.announce("a", "anna")
    courier = home.courier(clock=clock)
    with manager(tmp_path / "notify") as listening:
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"})
        watchdog = Watchdog(home.ledger, systemd, home.events, courier, None)
        running = asyncio.gather(courier.run(), watchdog.give_signs())
        await home.bucket.asked.wait()
        clock.now += STILL_FOR - 1
        assert await lives(listening)
        assert home.log.events("error") == []
        clock.now += 2
        assert await is_silent(listening)
        assert home.log.events("error") == ["delivery stands still"]
        home.bucket.may.set()
        while not home.mails("anna"):
            await asyncio.sleep(0.01)
        assert await lives(listening)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_bytes_that_come_slowly_are_a_life(home: Home) -> None:
    """A large mail over a slow line, or one that a limit holds back, may take an hour."""
    home.bucket, clock = SlowBucket(), Clock()
    home.bucket.put("a", b"S: a\r\n\r\na")
    home.announce("a", "anna")
    courier = home.courier(clock=clock)
    running = asyncio.create_task(courier.run())
    await home.bucket.asked.wait()
    for _ in range(5):
        clock.now += STILL_FOR - 1
        home.bucket.bandwidth.received += 1
        assert courier.still_for < STILL_FOR
    clock.now += STILL_FOR + 1
    assert courier.still_for > STILL_FOR
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_nothing_to_do_is_no_standstill(home: Home, tmp_path: Path) -> None:
    clock = Clock()
    courier = home.courier(clock=clock)
    with manager(tmp_path / "notify") as listening:
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"})
        watchdog = Watchdog(home.ledger, systemd, home.events, courier, None)
        running = asyncio.gather(courier.run(), watchdog.give_signs())
        clock.now += 100 * STILL_FOR
        assert await lives(listening)
        home.bucket.put("a", b"S: a\r\n\r\na")
        home.announce("a", "anna")  # the first after a long time
        courier.wake()
        while not home.mails("anna"):
            await asyncio.sleep(0.01)
        assert await lives(listening)
        assert home.log.events("error") == []
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_mailbox_that_hangs_is_no_standstill(tmp_path: Path) -> None:
    """Its mail is given up for now, and everybody else's moves."""
    home, clock = Home(tmp_path / "home", patience=0.05), Clock()
    hangs = asyncio.Event()
    loop = asyncio.get_running_loop()
    free = threading.Event()

    def hang() -> None:
        loop.call_soon_threadsafe(hangs.set)
        free.wait(60)

    home.disk.break_("create", 0, below=home.root("anna"), first=hang)
    courier = home.courier(clock=clock)
    running = asyncio.create_task(courier.run())
    for key, who in (("a", "anna"), ("b", "bruno")):
        home.bucket.put(key, b"S: a\r\n\r\n" + key.encode())
        home.announce(key, who)
    courier.wake()
    await hangs.wait()
    while not home.mails("bruno") or not home.problem("a"):
        await asyncio.sleep(0.01)
    clock.now += STILL_FOR + 1
    while courier.still_for:  # the job itself ends right after its problem is noted
        await asyncio.sleep(0.01)
    free.set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    home.close()


async def test_signs_of_life_need_nothing_that_can_fail(home: Home, tmp_path: Path) -> None:
    """Without them systemd restarts a daemon that is well; notes are another service."""
    courier = home.courier()
    home.ledger.close()
    with manager(tmp_path / "notify") as listening:
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "20000"})
        watchdog = Watchdog(home.ledger, systemd, home.events, courier, None)
        running = asyncio.create_task(watchdog.give_signs())
        assert await lives(listening)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
