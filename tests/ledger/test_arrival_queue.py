"""Group commit: a burst shares its commits, and nobody suffers for another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.arrival_queue import MANY, ArrivalQueue
from postamt_sync.mail.arrival import Arrival, Source
from tests.doubles.inbox import MemoryLog
from tests.doubles.ledger import due, event


@dataclass
class Gate:
    """The intake side of a ledger whose commits take as long as the test wants.

    Each commit waits for `open`; those whose number is in `failing` fail.
    """

    known: set[str] = field(default_factory=set)
    commits: list[list[str]] = field(default_factory=list)
    failing: set[int] = field(default_factory=set)
    open: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    @property
    def arrivals(self) -> Gate:
        return self

    def record(self, arrivals: Iterable[Arrival]) -> list[bool]:
        keys = [arrival.key for arrival in arrivals]
        number = len(self.commits)
        self.commits.append(keys)
        assert self.open.acquire(timeout=60)
        if number in self.failing:
            raise TryLaterError("The disk is full.")
        new = [key not in self.known for key in keys]
        self.known.update(keys)
        return new


@dataclass
class Desk:
    """An inbox before a gate."""

    gate: Gate = field(default_factory=Gate)
    log: MemoryLog = field(default_factory=MemoryLog)
    woken: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        ledger: Any = self.gate
        self.inbox = ArrivalQueue(
            ledger, Events(self.log), lambda: self.woken.append(len(self.gate.known))
        )

    def hand_in(self, *keys: str) -> asyncio.Task[int]:
        return asyncio.create_task(self.inbox.record([event(key=key) for key in keys]))

    async def commits(self, count: int) -> None:
        """Until so many commits have begun."""
        while len(self.gate.commits) < count:
            await asyncio.sleep(0)


async def test_a_burst_shares_its_commits() -> None:
    desk = Desk()
    first = desk.hand_in("0")
    await desk.commits(1)
    others = [desk.hand_in(f"{n}") for n in range(1, 1000)]
    await asyncio.sleep(0)
    desk.gate.open.release(2)
    assert await first == 1
    assert await asyncio.gather(*others) == [1] * 999
    assert [len(group) for group in desk.gate.commits] == [1, 999]
    assert desk.woken == [1, 1000]


async def test_many_wait_in_a_burst_and_for_a_moment_after_it() -> None:
    desk = Desk()
    assert not desk.inbox.many_wait
    first = [desk.hand_in("0")]
    await desk.commits(1)
    others = [desk.hand_in(f"{n}") for n in range(1, MANY + 1)]
    assert not desk.inbox.many_wait, "one is not many"
    desk.gate.open.release()
    await desk.commits(2)
    assert desk.inbox.many_wait
    desk.gate.open.release()
    await asyncio.gather(*first, *others)
    assert desk.inbox.many_wait, "the next may be on their way"
    while desk.inbox.many_wait:
        await asyncio.sleep(0.01)


async def test_many_do_not_wait_after_a_commit_that_failed() -> None:
    desk = Desk()
    desk.gate.failing = {0}
    callers = [desk.hand_in(f"{n}") for n in range(MANY)]
    desk.gate.open.release()
    await asyncio.gather(*callers, return_exceptions=True)
    while desk.inbox.many_wait:
        await asyncio.sleep(0.01)


async def test_a_single_one_does_not_wait_for_company() -> None:
    desk = Desk()
    desk.gate.open.release()
    assert await desk.hand_in("a") == 1


async def test_each_caller_is_told_of_its_own() -> None:
    desk = Desk()
    desk.gate.known = {"b"}
    first = desk.hand_in("x")
    await desk.commits(1)
    callers = [desk.hand_in("a", "b"), desk.hand_in(), desk.hand_in("c", "d"), desk.hand_in("b")]
    await asyncio.sleep(0)
    desk.gate.open.release(2)
    assert await first == 1
    assert await asyncio.gather(*callers) == [1, 0, 2, 0]
    announced = [fields["key"] for _, said, fields in desk.log.said if said == "announced"]
    assert sorted(announced) == ["a", "c", "d", "x"]


async def test_nobody_is_answered_before_the_commit() -> None:
    desk = Desk()
    caller = desk.hand_in("a")
    await desk.commits(1)
    await asyncio.sleep(0.01)
    assert not caller.done()
    desk.gate.open.release()
    assert await caller == 1


async def test_a_failing_commit_fails_its_own_callers_and_no_others() -> None:
    desk = Desk()
    desk.gate.failing = {1}
    before = desk.hand_in("before")
    await desk.commits(1)
    failing = [desk.hand_in("a"), desk.hand_in("b")]
    await asyncio.sleep(0)
    desk.gate.open.release()
    await desk.commits(2)
    after = desk.hand_in("after")
    await asyncio.sleep(0)
    desk.gate.open.release(2)
    assert (await before, await after) == (1, 1)
    for caller in failing:
        with pytest.raises(TryLaterError):
            await caller
    assert desk.gate.known == {"before", "after"}
    assert await asyncio.wait_for(released(desk, "a"), 60) == 1


async def released(desk: Desk, *keys: str) -> int:
    desk.gate.open.release()
    return await desk.inbox.record([event(key=key) for key in keys])


async def test_a_caller_that_gives_up_harms_no_other_and_loses_nothing() -> None:
    desk = Desk()
    first = desk.hand_in("first")
    await desk.commits(1)
    gives_up, stays = desk.hand_in("a"), desk.hand_in("b")
    await asyncio.sleep(0)
    first.cancel()
    gives_up.cancel()
    desk.gate.open.release(2)
    assert await stays == 1
    for caller in (first, gives_up):
        with pytest.raises(asyncio.CancelledError):
            await caller
    assert desk.gate.known == {"first", "a", "b"}


async def test_a_caller_may_give_up_before_a_commit_that_fails() -> None:
    desk = Desk()
    desk.gate.failing = {0}
    gives_up, stays = desk.hand_in("a"), desk.hand_in("b")
    await desk.commits(1)
    gives_up.cancel()
    await asyncio.sleep(0)
    desk.gate.open.release()
    with pytest.raises(TryLaterError):
        await stays


class BrokenLog(MemoryLog):
    """A log whose pipe is closed."""

    def info(self, event: str, **fields: Any) -> None:
        if fields.get("key") == "broken":
            raise BrokenPipeError


async def test_a_log_that_fails_leaves_nobody_waiting() -> None:
    desk = Desk(log=BrokenLog())
    callers = [desk.hand_in("broken"), desk.hand_in("a")]
    await desk.commits(1)
    later = desk.hand_in("b")
    await asyncio.sleep(0)
    desk.gate.open.release(2)
    assert await asyncio.wait_for(callers[1], 60) == 1
    assert await asyncio.wait_for(later, 60) == 1
    with pytest.raises(BrokenPipeError):
        await callers[0]


async def test_with_the_real_ledger_an_answer_means_recorded(ledger: Ledger) -> None:
    inbox = ArrivalQueue(ledger, Events(MemoryLog()), lambda: None)

    async def hand_in(keys: Sequence[str]) -> None:
        assert await inbox.record([event(key=key) for key in keys]) == len(keys)
        assert set(keys) <= set(due(ledger))

    await asyncio.gather(*[hand_in([f"{n}/a", f"{n}/b"]) for n in range(20)])
    assert len(due(ledger)) == 40


async def test_a_notice_is_kept_on_return(ledger: Ledger) -> None:
    inbox = ArrivalQueue(ledger, Events(MemoryLog()), lambda: None)
    await inbox.keep_notification(Source.QUEUE, "no idea", "{}")
    (kept,) = ledger.overview.notifications()
    assert (kept.source, kept.reason) == ("queue", "no idea")
