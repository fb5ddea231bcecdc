"""A pass ends when nothing is due any more, and not before."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.delivery.courier import Courier
from tests.delivery.home import Home, MemoryBucket
from tests.doubles.disk import FaultyDisk
from tests.doubles.scene import until

BODY = b"Subject: x\r\n\r\nmail\r\n"


class SlowToLook:
    """The ledger's work, which is slow to say what is due while a mail is on its way."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def due(self, now: float, limit: int, busy: Collection[str]) -> Any:
        due = self._real.due(now, limit, frozenset(busy))
        while busy:  # the courier's own: what ends leaves it
            time.sleep(0.001)
        return due


class LedgerOf:
    def __init__(self, work: SlowToLook) -> None:
        self.work = work


async def test_a_mail_that_is_due_again_while_we_look_is_not_left_behind(home: Home) -> None:
    home.announce("k", "anna", etag="0" * 32)  # changed since: it is looked at again
    home.bucket.put("k", BODY)
    work = SlowToLook(home.ledger.work)
    ledger: Any = LedgerOf(work)
    courier = Courier(ledger, home.bucket, lambda: home.destinations, home.events)
    await courier.run(until_idle=True)
    assert home.bodies("anna") == [BODY]


class BucketBehindDisk(MemoryBucket):
    """Gives out the mail "next" only once a mailbox's disk has been late."""

    home: Home
    waited = False

    @asynccontextmanager
    async def fetch(self, key: str, *, etag: str | None = None) -> AsyncIterator[Any]:
        if key == "next" and not self.waited:
            self.waited = True
            await until(lambda: self.home.mailboxes.late("anna"))
        async with super().fetch(key, etag=etag) as reading:
            yield reading


@pytest.mark.slow
@pytest.mark.parametrize("hangs", [False, True])
async def test_a_pass_waits_for_a_disk_that_is_slow_and_not_for_one_that_hangs(
    tmp_path: Path, hangs: bool
) -> None:
    """As an SD card, which now and then takes seconds: that is no reason to call mail failed."""
    home = Home(tmp_path, disk=FaultyDisk(), patience=2.0 if hangs else 3600.0)
    home.bucket, answers = BucketBehindDisk(), threading.Event()
    home.bucket.home = home
    for name in home.people:
        home.mailboxes.ready(name)
    home.disk.break_("rename", 0, below=home.root("anna"), times=1, first=answers.wait)
    for key, name in (("first", "anna"), ("other", "bruno"), ("next", "anna")):
        home.bucket.put(key, BODY + key.encode())
        home.announce(key, name)
    delivering = asyncio.create_task(home.deliver())
    if not hangs:
        await until(lambda: home.problem("next"))
        answers.set()
    await delivering
    came = [] if hangs else [BODY + b"first", BODY + b"next"]
    assert sorted(home.bodies("anna")) == came
    assert home.bodies("bruno") == [BODY + b"other"]
    answers.set()
    home.close()
