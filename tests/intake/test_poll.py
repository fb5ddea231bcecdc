"""When the poll looks. Time is the test's own: nothing waits for real."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.intake.poll import ASKED_PER_MINUTE, GLANCE_EVERY, Poll, PollClocks, PollHooks
from postamt_sync.intake.scanner import ScanResult
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Source
from tests.doubles.inbox import MemoryLog
from tests.support.live_settings import live_settings
from tests.support.new_ledger import new_ledger


class EnoughError(Exception):
    """The test has seen what it wanted to see."""


@dataclass
class Time:
    """Clocks that go on when someone waits, and a nap that a test may insert.

    `until` is when the test ends; `asleep` tells for how long the machine sleeps in a wait that
    begins at that moment, `call` what is done in it.
    """

    now: float = 1000.0
    slept: float = 0.0
    until: float = 1000.0
    asleep: dict[float, float] = field(default_factory=dict)
    call: Callable[[float], None] = lambda _: None

    @property
    def clocks(self) -> PollClocks:
        return PollClocks(lambda: self.now, lambda: self.now + self.slept, self._set_within)

    async def _set_within(self, event: asyncio.Event, seconds: float) -> bool:
        assert seconds <= GLANCE_EVERY  # else a sleep would be noticed late
        if self.now >= self.until:
            raise EnoughError
        self.call(self.now)
        if event.is_set():
            return True
        self.slept += self.asleep.pop(self.now, 0.0)
        self.now += seconds
        return False


@dataclass
class Looks:
    """A survey that notes when it is asked, and fails as long as there is `trouble`."""

    time: Time
    recents: list[float] = field(default_factory=list)
    everythings: list[float] = field(default_factory=list)
    sents: list[tuple[Source, str]] = field(default_factory=list)
    trouble: Callable[[str, int], BaseException | None] = lambda _source, _count: None

    async def recent(self) -> ScanResult:
        self.recents.append(self.time.now)
        return self._answer("poll", len(self.recents))

    async def everything(self, source: Source) -> ScanResult:
        assert source is Source.RECONCILE
        self.everythings.append(self.time.now)
        return self._answer("reconcile", len(self.everythings))

    async def sent(self, source: Source, since: str = "") -> ScanResult:
        self.sents.append((source, since))
        return self._answer("sent", len(self.sents))

    def _answer(self, source: str, count: int) -> ScanResult:
        if error := self.trouble(source, count):
            raise error
        return ScanResult(7, 2)


@dataclass
class Home:
    ledger: Ledger
    time: Time = field(default_factory=Time)
    log: MemoryLog = field(default_factory=MemoryLog)
    looked: list[float] = field(default_factory=list)
    successes: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.looks = Looks(self.time)
        scanner: Any = self.looks
        self.live = live_settings(poll={"interval": 300, "reconcile_interval": 86_400})
        self.poll = Poll(
            self.live,
            scanner,
            self.ledger,
            Events(self.log),
            hooks=PollHooks(on_look=self.on_look, after_success=self.succeeded),
            clocks=self.time.clocks,
        )

    def succeeded(self) -> None:
        self.successes.append(self.time.now)

    async def on_look(self) -> None:
        self.looked.append(self.time.now)

    async def run(self, seconds: float) -> None:
        """Let so much time pass."""
        self.time.until = 1000.0 + seconds
        with pytest.raises(EnoughError):
            await self.poll.run()


@pytest.fixture
def home(ledger: Ledger) -> Home:
    return Home(ledger)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = new_ledger(tmp_path)
    yield ledger
    ledger.close()


def gaps(moments: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


async def test_it_looks_at_once_and_then_every_interval(home: Home) -> None:
    await home.run(3600)
    assert home.looks.recents[0] == 1000.0
    assert len(home.looks.recents) in range(11, 16)
    assert all(270 <= gap <= 330 for gap in gaps(home.looks.recents))


async def test_homes_do_not_poll_in_step(home: Home) -> None:
    await home.run(3600)
    assert len({round(gap, 6) for gap in gaps(home.looks.recents)}) > 1


@pytest.mark.slow
async def test_everything_is_looked_through_at_start_and_daily(home: Home) -> None:
    await home.run(3 * 86_400)
    assert home.looks.everythings[0] == 1000.0
    assert len(home.looks.everythings) == 3
    assert all(86_400 <= gap < 86_400 + 330 for gap in gaps(home.looks.everythings))


@pytest.mark.slow
async def test_intervals_may_change_while_it_runs(home: Home) -> None:
    slower = live_settings(poll={"interval": 3600, "reconcile_interval": 7200})

    def change(now: float) -> None:
        if now > 2000:
            home.live.replace(slower.current, may_remove=False)

    home.time.call = change
    await home.run(40_000)
    assert gaps(home.looks.recents)[-1] > 3000
    assert len(home.looks.everythings) > 3


async def test_after_each_good_look_the_courier_is_told(home: Home) -> None:
    await home.run(100)
    assert home.looked == [1000.0, 1000.0]  # recent mail, then everything


async def test_each_poll_that_succeeded_is_told_once(home: Home) -> None:
    await home.run(1000)
    assert home.successes == home.looks.recents


@pytest.mark.parametrize("failing", ["poll", "reconcile"])
async def test_a_poll_of_which_a_part_failed_is_no_success(home: Home, failing: str) -> None:
    home.looks.trouble = lambda source, count: (
        always() if source == failing and count == 1 else None
    )
    await home.run(100)
    assert home.successes == home.looks.recents[1:] != []


async def test_looks_are_noted_for_status(home: Home, ledger: Ledger) -> None:
    await home.run(100)
    poll, reconcile = ledger.overview.sources()
    assert (poll.source, poll.detail) == ("poll", "7 listed, 2 new")
    assert (reconcile.source, reconcile.detail) == ("reconcile", "7 listed, 2 new")


async def test_someone_may_ask_for_a_look(home: Home) -> None:
    asked: list[float] = []

    def ask(now: float) -> None:
        if now >= 1030 and not asked:
            asked.append(now)
            home.poll.soon()

    home.time.call = ask
    await home.run(100)
    assert home.looks.recents == [1000.0, *asked]


async def test_to_ask_during_a_look_makes_another_one(home: Home) -> None:
    def ask(_source: str, count: int) -> None:
        if count == 1:
            home.poll.soon()

    home.looks.trouble = ask
    await home.run(100)
    assert home.looks.recents == [1000.0, 1000.0]


async def test_nobody_may_ask_without_an_end(home: Home) -> None:
    """A message that nobody understands asks for a look, and anybody may send true ones again."""
    times = Counter[float]()

    def ask(now: float) -> None:
        times[now] += 1
        if times[now] <= 50:
            home.poll.soon()

    home.time.call = ask
    await home.run(120)
    asked = len(home.looks.recents) - 1
    assert ASKED_PER_MINUTE <= asked <= 3 * ASKED_PER_MINUTE + 2


# Sleep


async def test_after_the_machine_slept_it_looks_at_once(home: Home) -> None:
    home.time.asleep = {1030.0: 3 * 3600.0}
    await home.run(200)
    assert home.looks.recents == [1000.0, 1030.0 + GLANCE_EVERY]
    assert "the machine slept" in home.log.events()


async def test_clocks_that_drift_a_little_are_no_sleep(home: Home) -> None:
    home.time.asleep = {1030.0: 1.0}
    await home.run(200)
    assert home.looks.recents == [1000.0]
    assert "the machine slept" not in home.log.events()


# Failures


def always(*_: object) -> PostamtError:
    return TryLaterError("The network cannot be reached.", "Wait.")


async def test_while_it_fails_it_looks_after_ten_seconds_and_then_less_often(home: Home) -> None:
    home.looks.trouble = always
    await home.run(3000)
    found = gaps(home.looks.recents)
    wanted = [10, 20, 40, 80, 160, 300, 300]
    for gap, most in zip(found, wanted, strict=False):
        assert max(10, most * 0.8) <= gap <= most
    assert len(found) > len(wanted)
    assert home.looks.everythings == []
    assert home.looked == []


async def test_the_pause_that_is_told_is_the_pause_that_is_made(home: Home) -> None:
    home.looks.trouble = always
    await home.run(500)
    told = [
        f["seconds"] for _, said, f in home.log.said if said == "could not look, will try again"
    ]
    made = [round(gap) for gap in gaps(home.looks.recents)]
    assert told[: len(made)] == made


async def test_a_failure_is_noted_until_it_passes(home: Home, ledger: Ledger) -> None:
    home.looks.trouble = always
    await home.run(100)
    (poll,) = ledger.overview.sources()
    assert poll.problem == "The network cannot be reached. Wait."


async def test_after_a_failure_the_rhythm_returns(home: Home, ledger: Ledger) -> None:
    home.looks.trouble = lambda _, count: always() if count < 3 else None
    await home.run(1000)
    assert [round(gap) for gap in gaps(home.looks.recents)][:1] == [10]
    assert gaps(home.looks.recents)[-1] >= 270
    assert {source.problem for source in ledger.overview.sources()} == {None}


async def test_a_reconcile_that_failed_is_made_up_for_soon(home: Home) -> None:
    home.looks.trouble = lambda source, count: (
        always() if source == "reconcile" and count == 1 else None
    )
    await home.run(1000)
    assert gaps(home.looks.everythings) == [10]


async def test_a_ledger_that_cannot_be_written_ends_nothing(home: Home, ledger: Ledger) -> None:
    ledger.close()
    await home.run(100)
    assert len(home.looks.recents) > 1
    assert "the ledger cannot be written" in home.log.events("error")


@pytest.mark.parametrize(
    "error",
    [KeyError("Contents"), MemoryError(), BaseException("panic"), asyncio.CancelledError("odd")],
    ids=repr,
)
async def test_whatever_a_look_raises_the_next_one_comes(home: Home, error: BaseException) -> None:
    home.looks.trouble = lambda source, count: error if (source, count) == ("poll", 1) else None
    await home.run(100)
    assert len(home.looks.recents) > 1
    assert home.log.events("warning")


async def test_trouble_of_the_courier_ends_nothing(home: Home) -> None:
    async def full() -> None:
        raise TryLaterError("The disk is full.")

    scanner: Any = home.looks
    home.poll = Poll(
        home.live,
        scanner,
        home.ledger,
        Events(home.log),
        hooks=PollHooks(full),
        clocks=home.time.clocks,
    )
    await home.run(100)
    assert len(home.looks.recents) > 1


# The real clocks


@asynccontextmanager
async def running(poll: Poll) -> AsyncIterator[None]:
    task = asyncio.create_task(poll.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_with_real_clocks_asking_wakes_it(ledger: Ledger) -> None:
    looked = asyncio.Semaphore(0)

    async def on_look() -> None:
        looked.release()

    scanner: Any = Looks(Time())
    poll = Poll(
        live_settings(poll={"interval": 86_400, "reconcile_interval": 86_400}),
        scanner,
        ledger,
        Events(MemoryLog()),
        hooks=PollHooks(on_look=on_look),
    )
    async with running(poll), asyncio.timeout(60):
        await looked.acquire()
        await looked.acquire()
        poll.soon()
        await looked.acquire()


async def test_the_real_wait_tells_whether_it_was_woken() -> None:
    event = asyncio.Event()
    assert not await PollClocks().set_within(event, 0.001)
    event.set()
    assert await PollClocks().set_within(event, 60)


def test_the_real_clocks_agree_on_a_machine_that_is_awake() -> None:
    clocks = PollClocks()
    assert clocks.slept() > -1


async def test_a_full_listing_is_told_and_a_failed_one_is_not(home: Home, ledger: Ledger) -> None:
    """A rebuild ends there, and must not end with half a listing."""
    told: list[float] = []
    scanner: Any = home.looks
    home.poll = Poll(
        home.live,
        scanner,
        ledger,
        Events(home.log),
        hooks=PollHooks(home.on_look, lambda: told.append(home.time.now)),
        clocks=home.time.clocks,
    )
    home.looks.trouble = lambda source, count: (
        TryLaterError("cut off") if source == "reconcile" and count < 3 else None
    )
    await home.run(600)
    assert told == [home.looks.everythings[2]]


# What was sent in the webmail


def webmail(home: Home, *, enabled: bool) -> None:
    more = {"webmail": {"enabled": enabled, "host": "webmail.example.com"}}
    home.live.replace(live_settings(**more).current, may_remove=True)


async def test_without_a_webmail_nothing_is_looked_for(home: Home, ledger: Ledger) -> None:
    await home.run(3600)
    assert home.looks.sents == []
    assert "sent" not in {s.source for s in ledger.overview.sources()}


async def test_what_was_sent_is_looked_for_at_each_poll_and_wholly_with_the_reconcile(
    home: Home, ledger: Ledger
) -> None:
    webmail(home, enabled=True)
    await home.run(1000)
    first, *others = home.looks.sents
    assert first == (Source.RECONCILE, "")
    assert len(others) == len(home.looks.recents) - 1
    months = {since for source, since in others if source is Source.SENT}
    assert len(months) == 1
    assert re.fullmatch(r"\d{4}-\d{2}", months.pop())
    assert "sent" in {s.source for s in ledger.overview.sources()}


async def test_what_fails_there_holds_up_nothing_that_came(home: Home, ledger: Ledger) -> None:
    webmail(home, enabled=True)
    home.looks.trouble = lambda source, _: TryLaterError("No.") if source == "sent" else None
    await home.run(1000)
    assert len(home.looks.recents) in range(3, 6)
    assert len(home.looks.everythings) == 1
    assert len(home.successes) == len(home.looks.recents)
    (sent,) = (s for s in ledger.overview.sources() if s.source == "sent")
    assert sent.problem


async def test_once_the_webmail_is_gone_it_is_noted_no_more(home: Home, ledger: Ledger) -> None:
    webmail(home, enabled=True)
    await home.run(400)
    webmail(home, enabled=False)
    await home.run(400)
    assert "sent" not in {s.source for s in ledger.overview.sources()}
