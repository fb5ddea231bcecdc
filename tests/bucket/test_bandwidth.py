"""The limit holds over any time, and everybody gets his share. The clock is stepped by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from postamt_sync.bucket import Bucket
from postamt_sync.bucket.bandwidth import (
    LEAST_TURN,
    LOOK_AGAIN,
    SAVED_UP,
    TURNS_A_SECOND,
    Bandwidth,
)
from tests.doubles.s3 import S3Double

CHUNK = 64 << 10


class Line:
    """A bandwidth whose time passes only while someone must wait."""

    def __init__(self, limit: int) -> None:
        self.limit, self.now = limit, 0.0
        self.slept = 0
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.bandwidth = Bandwidth(lambda: self.limit, clock=lambda: self.now, sleep=self._sleep)
        self.passed: list[tuple[float, int]] = []

    async def _sleep(self, seconds: float) -> None:
        self.slept += 1
        self.now += seconds
        for when, call in [each for each in self.later if each[0] <= self.now]:
            self.later.remove((when, call))
            call()
        await asyncio.sleep(0)

    async def read(self, size: int, chunk: int = CHUNK) -> float:
        """Read one mail; return when it was through."""
        transfer = self.bandwidth.transfer()
        try:
            await transfer.begin()
            for start in range(0, size, chunk):
                much = min(chunk, size - start)
                await transfer.came(much)
                self.passed.append((self.now, much))
        finally:
            transfer.end()
        return self.now

    def of(self, since: float, until: float) -> int:
        return sum(size for when, size in self.passed if since < when <= until)


async def gather(*work: Awaitable[float]) -> list[float]:
    async with asyncio.timeout(20):
        return list(await asyncio.gather(*work))


@pytest.mark.slow
async def test_a_slow_line_never_looks_as_if_it_stood_still() -> None:
    line = Line(1_000)
    seen, moved, longest = 0, 0.0, 0.0

    def look() -> None:
        nonlocal seen, moved, longest
        longest = max(longest, line.now - moved)
        if line.bandwidth.progress != seen:
            seen, moved = line.bandwidth.progress, line.now

    line.later = [(float(second), look) for second in range(2000)]
    await gather(*[line.read(256 << 10, 256 << 10) for _ in range(8)])
    assert line.now > 2000
    assert longest < 5, "eight chunks have come at once, and each is let through bit by bit"


@pytest.mark.parametrize("limit", [1_000, 100_000, 2_000_000])
async def test_it_is_exact_over_time(limit: int) -> None:
    line = Line(limit)
    sizes = [limit * 5, limit * 3, limit, limit // 2, *[limit // 100] * 50]
    await gather(*map(line.read, sizes))
    assert line.now == pytest.approx(
        sum(sizes) / limit, abs=2 / TURNS_A_SECOND + LEAST_TURN / limit
    )
    turns = len(sizes) * max(limit / TURNS_A_SECOND, LEAST_TURN) + CHUNK
    for second in range(int(line.now)):
        for until in range(second + 1, int(line.now)):
            assert line.of(second, until) <= limit * (until - second + SAVED_UP) + turns


async def test_all_get_the_same_share() -> None:
    line = Line(100_000)
    ends = await gather(*(line.read(1_000_000, chunk) for chunk in (1_000, 16_000, 256_000)))
    assert max(ends) - min(ends) < 3, ends
    assert max(ends) == pytest.approx(30, abs=1)


async def test_a_short_mail_is_through_while_long_ones_come() -> None:
    line = Line(100_000)
    long = [asyncio.create_task(line.read(40_000_000)) for _ in range(31)]
    short: list[asyncio.Task[float]] = []
    for when in (10.0, 20.0, 60.0):
        line.later.append((when, lambda: short.append(asyncio.create_task(line.read(3_000)))))
    async with asyncio.timeout(20):
        while line.now < 65:
            await asyncio.sleep(0)
    for task in long:
        task.cancel()
    await asyncio.gather(*long, return_exceptions=True)
    took = [task.result() - when for task, when in zip(short, (10, 20, 60), strict=True)]
    assert max(took) < 2, took


async def test_what_a_short_mail_does_not_use_is_given_back() -> None:
    line = Line(10_000)
    for _ in range(100):
        await line.read(100)
    assert line.now == pytest.approx(1, abs=0.3)


async def test_a_change_counts_for_those_who_wait() -> None:
    line = Line(1_000)
    line.later.append((5.0, lambda: setattr(line, "limit", 100_000)))
    ends = await gather(line.read(100_000), line.read(100_000))
    assert max(ends) == pytest.approx(5 + 195_000 / 100_000, abs=LOOK_AGAIN + 0.1)
    line.later.append((line.now + 2, lambda: setattr(line, "limit", 0)))
    line.limit, began = 1_000, line.now
    ends = await gather(line.read(10_000_000), line.read(5_000_000))
    assert max(ends) - began == pytest.approx(2, abs=LOOK_AGAIN + 0.1)


async def test_without_a_limit_nobody_waits() -> None:
    line = Line(0)
    assert await gather(*(line.read(10_000_000) for _ in range(50))) == [0] * 50
    assert line.slept == 0
    assert line.bandwidth.received == 500_000_000


async def test_whoever_gives_up_takes_nothing_from_the_others() -> None:
    line = Line(10_000)
    given_up = [asyncio.create_task(line.read(1_000_000)) for _ in range(20)]
    staying = asyncio.create_task(line.read(50_000))
    while line.now < 1:
        await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    await asyncio.gather(*given_up, return_exceptions=True)
    began, had = line.now, line.bandwidth.received
    assert had < 10_000 + 21 * CHUNK
    end = (await gather(staying))[0]
    # The chunks of those that left had come: they are waited for like any other.
    assert end - began <= (50_000 + 20 * CHUNK) / 10_000 + 1


async def test_an_idle_line_saves_up_little() -> None:
    line = Line(100_000)
    await line.read(1_000)
    line.now += 3600
    began = line.now
    end = await line.read(1_000_000)
    assert end - began == pytest.approx(10 - SAVED_UP, abs=0.1)


async def test_mail_and_listings_of_a_bucket_share_it() -> None:
    line = Line(10_000)
    async with S3Double() as s3:
        for number in range(1500):
            s3.put(f"in/{number}", b"x")
        s3.put("in/mail", b"S: x\r\n\r\n" + 50_000 * b"x")
        open_ = Bucket("mail", "eu-west-1", session=s3.session(), bandwidth=line.bandwidth)
        async with open_ as bucket:
            listed = [len(page) async for page in bucket.pages("in/")]
            after_listing = line.bandwidth.received
            async with bucket.fetch("in/mail") as fetched:
                body = b"".join([chunk async for chunk in fetched.chunks()])
            with pytest.raises(RuntimeError):
                async with bucket.fetch("in/mail"):
                    raise RuntimeError("left early")
            async with bucket.fetch("in/1") as fetched:
                _ = [chunk async for chunk in fetched.chunks()]
    assert listed == [1000, 501]
    assert len(body) == 50_008
    assert line.bandwidth.received == after_listing + 50_009
    assert after_listing > 100_000
    assert line.now == pytest.approx(line.bandwidth.received / 10_000, abs=1)
