"""How many mails are fetched at once, while the bodies of long ones take their time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from postamt_sync.delivery import courier as courier_module
from postamt_sync.delivery import places as places_module
from postamt_sync.delivery.courier import AT_ONCE, LONG_AT_ONCE
from postamt_sync.delivery.fetcher import SMALL
from postamt_sync.delivery.places import FEW, LeftBehindError, Places, Turns
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
                await asyncio.sleep(0)
                yield SlowReading(reading.stored, SMALL, line=self.line)
            finally:
                self.under_way -= 1


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
async def test_long_ones_that_wait_take_no_short_ones_room(
    home: Home, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """However many there are: those for which there is no room wait in the ledger."""
    for name, value in (("ON_THE_WAY", 20), ("LONG_ON_THE_WAY", 6), ("REFILL", 4)):
        monkeypatch.setattr(courier_module, name, value)
    monkeypatch.setattr(courier_module, "LONG_AT_ONCE", 2)
    bucket = home.bucket = SlowBucket()
    for number in range(24):
        stored = bucket.put(f"incoming/{number}", LONG)
        home.announce(f"incoming/{number}", "anna", **({"size": stored.size} if known else {}))
    courier = home.courier()
    running = asyncio.create_task(courier.run())
    try:
        async with asyncio.timeout(30):
            while bucket.under_way < 2 or (not known and bucket.gets < 24):
                await asyncio.sleep(0.01)
            for number in range(8):
                bucket.put(f"incoming/short{number}", SHORT)
                home.announce(f"incoming/short{number}", "bruno")
            courier.wake()
            while len(home.mails("bruno")) < 8:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert bucket.gets == 2 + 8 + (0 if known else 22)


async def test_all_mails_come_however_long_others_go_first(home: Home) -> None:
    bucket = home.bucket = SlowBucket()
    for number in range(3 * FEW):
        bucket.put(f"incoming/{number}", SHORT + b"%d" % number)
        home.announce(f"incoming/{number}", "anna")
    courier = home.courier()
    courier.places.give_way_while(lambda: True)
    await courier.run(until_idle=True)
    assert len(home.mails("anna")) == 3 * FEW


class Waiting:
    """Some who want a turn each, and keep it until they are ended."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.taken: list[str] = []

    def want(self, name: str) -> asyncio.Task[None]:
        return asyncio.create_task(self._keep(name))

    async def _keep(self, name: str) -> None:
        await self._turns.acquire()
        self.taken.append(name)
        try:
            await asyncio.Event().wait()
        finally:
            self._turns.release()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_while_others_go_first_a_few_turns_are_given_at_each_look() -> None:
    turns = Turns(3 * FEW)
    turns.others_first = lambda: True
    waiting = Waiting(turns)
    tasks = [waiting.want(str(number)) for number in range(2 * FEW + 1)]
    for given in (FEW, 2 * FEW, 2 * FEW + 1):  # who has a turn keeps it: nobody waits for those
        while len(waiting.taken) < given:
            await asyncio.sleep(0)
            assert len(waiting.taken) <= given
    for task in tasks:
        task.cancel()


async def test_all_turns_are_given_once_others_have_gone_though_nobody_leaves() -> None:
    others_first = True
    turns = Turns(3 * FEW)
    turns.others_first = lambda: others_first
    waiting = Waiting(turns)
    tasks = [waiting.want(str(number)) for number in range(3 * FEW + 1)]
    await asyncio.sleep(0)  # all wait, and no look can have been yet
    others_first = False
    while len(waiting.taken) < 3 * FEW:
        await asyncio.sleep(0)
        assert waiting.taken == [] or len(waiting.taken) == 3 * FEW
    await settled()
    assert len(waiting.taken) == 3 * FEW
    for task in tasks:
        task.cancel()


async def test_who_gives_up_waiting_takes_no_turn() -> None:
    waiting = Waiting(Turns(1))
    a, b, c = (waiting.want(name) for name in "abc")
    await settled()
    b.cancel()
    await settled()
    a.cancel()
    await settled()
    assert waiting.taken == ["a", "c"]
    c.cancel()


async def test_a_turn_that_comes_too_late_goes_to_the_next() -> None:
    waiting = Waiting(Turns(1))
    a, b, c = (waiting.want(name) for name in "abc")
    await settled()
    a.cancel()
    await asyncio.sleep(0)  # now b has been given the turn, but does not know yet
    b.cancel()
    await settled()
    assert waiting.taken == ["a", "c"]
    c.cancel()


class Held:
    """Places of one kind each, and a disk that answers when it is told to."""

    def __init__(self) -> None:
        self.places = Places(1, 1, 8)
        self.answer = threading.Event()

    def disk(self, error: Exception | None = None) -> str:
        self.answer.wait(20)
        if error is not None:
            raise error
        return "done"

    async def write(self, error: Exception | None = None, *, long: bool = False) -> str:
        async with self.places:
            if long:
                await self.places.wait_for_long()
            return await self.places.blocking(self.disk, error)

    async def check(self) -> None:
        """All places are free, and there are no more than there were."""

        async def stay() -> None:
            async with self.places:
                entered.append(True)
                await asyncio.sleep(20)

        async def stay_long() -> None:
            async with self.places:
                await self.places.wait_for_long()
                entered.append(True)
                await asyncio.sleep(20)

        entered: list[bool] = []
        tasks = [asyncio.create_task(stay_long())]
        async with asyncio.timeout(20):
            while len(entered) < 1:
                await asyncio.sleep(0.001)
        tasks += [asyncio.create_task(stay()) for _ in range(3)]
        for _ in range(9):
            await asyncio.sleep(0)
        assert len(entered) == 2
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    monkeypatch.setattr(places_module, "LATE", 0.01)
    made = Held()
    yield made
    made.answer.set()


async def is_late(held: Held, *, long: bool = False) -> None:
    """Wait until whoever waits for the disk has let another go on."""
    await asyncio.sleep(0)  # it begins
    async with asyncio.timeout(20):
        async with held.places:
            if long:
                await held.places.wait_for_long()


@pytest.mark.parametrize("long", [False, True])
@pytest.mark.parametrize("error", [None, OSError("broken")])
async def test_who_waits_for_a_disk_lets_another_go_on_and_comes_back(
    held: Held, long: bool, error: Exception | None
) -> None:
    task = asyncio.create_task(held.write(error, long=long))
    await is_late(held, long=long)
    held.answer.set()
    if error is None:
        assert await task == "done"
    else:
        with pytest.raises(OSError, match="broken"):
            await task
    await held.check()


@pytest.mark.parametrize("long", [False, True])
async def test_one_that_is_given_up_meanwhile_leaves_nothing_taken(held: Held, long: bool) -> None:
    task = asyncio.create_task(held.write(long=long))
    await is_late(held, long=long)
    task.cancel()
    with pytest.raises(LeftBehindError):
        await task
    await held.check()


async def test_one_that_is_given_up_while_it_waits_to_come_back(held: Held) -> None:
    task = asyncio.create_task(held.write())
    await is_late(held)
    async with held.places:
        held.answer.set()
        for _ in range(20):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await held.check()


async def test_one_that_is_given_up_while_it_waits_for_a_long_place(held: Held) -> None:
    first = asyncio.create_task(held.write(long=True))
    await asyncio.sleep(0)

    async def second() -> None:
        async with held.places:
            assert not await held.places.take_long()
            await held.places.wait_for_long()

    async with held.places:
        await held.places.wait_for_long()
        waiting = [asyncio.create_task(second()) for _ in range(3)]
        for _ in range(9):
            await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        assert all(
            isinstance(ended, asyncio.CancelledError)
            for ended in await asyncio.gather(*waiting, return_exceptions=True)
        )
    held.answer.set()
    await first
    await held.check()


async def test_what_goes_on_behind_one_that_is_given_up_takes_nothing_for_good(held: Held) -> None:
    """As a draft that is discarded in a task of its own."""

    async def discarding() -> None:
        async with held.places:
            await asyncio.shield(held.places.blocking(held.disk))

    task = asyncio.create_task(discarding())
    await is_late(held)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    held.answer.set()
    async with asyncio.timeout(20):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)
    await held.check()
