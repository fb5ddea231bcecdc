"""How many mails are fetched at once, while the bodies of long ones take their time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from postamt_sync.delivery.courier import AT_ONCE, LONG_AT_ONCE
from postamt_sync.delivery.fetcher import SMALL
from tests.delivery.home import Home, MemoryBucket, Reading

SHORT = b"Subject: short\r\n\r\nmail\r\n"
LONG = b"Subject: long\r\n\r\n" + b"x" * SMALL


@dataclass
class SlowReading(Reading):
    """Beyond its beginning nothing comes before the line is free."""

    line: asyncio.Event = field(default_factory=asyncio.Event)

    async def chunks(self) -> AsyncIterator[bytes]:
        async for chunk in super().chunks():
            yield chunk
            if self.stored.size > SMALL:
                await self.line.wait()


@dataclass
class SlowBucket(MemoryBucket):
    line: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0
    most: int = 0

    @asynccontextmanager
    async def fetch(self, key: str, *, etag: str | None = None) -> AsyncIterator[Reading]:
        async with super().fetch(key, etag=etag) as reading:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            try:
                yield SlowReading(reading.stored, SMALL, line=self.line)
            finally:
                self.under_way -= 1


@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
async def test_a_short_mail_waits_for_no_long_ones(home: Home, known: bool) -> None:
    bucket = home.bucket = SlowBucket()
    longs = [f"incoming/long{number}" for number in range(AT_ONCE + LONG_AT_ONCE + 4)]
    for key in longs:
        stored = bucket.put(key, LONG + key.encode())
        home.announce(key, "anna", **({"size": stored.size} if known else {}))
    courier = home.courier()
    running = asyncio.create_task(courier.run())
    try:
        async with asyncio.timeout(30):
            while bucket.under_way < LONG_AT_ONCE or (not known and bucket.gets < len(longs)):
                await asyncio.sleep(0.01)
            bucket.put("incoming/short", SHORT)
            home.announce("incoming/short", "bruno")
            courier.wake()
            while not home.mails("bruno"):
                await asyncio.sleep(0.01)
            assert home.mails("anna") == []
            bucket.line.set()
            while len(home.mails("anna")) < len(longs):
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert bucket.most <= AT_ONCE + LONG_AT_ONCE
    again = 0 if known else len(longs) - LONG_AT_ONCE
    assert bucket.gets == len(longs) + 1 + again
    assert home.drafts("anna") == []


async def test_long_mails_that_wait_are_left_alone_at_the_end(home: Home) -> None:
    bucket = home.bucket = SlowBucket()
    for number in range(LONG_AT_ONCE + 4):
        bucket.put(f"incoming/{number}", LONG + b"%d" % number)
        home.announce(f"incoming/{number}", "anna", size=len(LONG) + 1)
    running = asyncio.create_task(home.courier().run())
    async with asyncio.timeout(30):
        while bucket.under_way < LONG_AT_ONCE:
            await asyncio.sleep(0.01)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert (bucket.under_way, bucket.gets) == (0, LONG_AT_ONCE)
    assert (home.mails("anna"), home.drafts("anna")) == ([], [])
    bucket.line.set()
    await home.deliver()
    assert len(home.mails("anna")) == LONG_AT_ONCE + 4
