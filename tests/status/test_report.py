"""Looks at the ledger: shared, one at a time, and never on the courier's connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from postamt_sync.config import Settings
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.status.report import SHOWN, StatusReport, read_report
from postamt_sync.status.report_cache import FRESH, REST, ReportCache, read_report_apart
from tests.doubles.ledger import bring_to


@dataclass
class Time:
    """A clock that goes on when a look is taken."""

    settings: Settings
    ledger: Ledger
    takes: float = 0.0
    now: float = 1000.0
    looked: int = 0
    during: Callable[[], None] = lambda: None
    trouble: list[PostamtError] = field(default_factory=list)

    def look(self) -> StatusReport:
        self.looked += 1
        self.now += self.takes
        self.during()
        if self.trouble:
            raise self.trouble.pop()
        return read_report(self.settings, self.ledger)


@pytest.fixture
def time(settings: Settings, ledger: Ledger) -> Time:
    return Time(settings, ledger)


async def test_a_look_is_shown_again_while_it_is_fresh(time: Time) -> None:
    reports = ReportCache(time.look, lambda: time.now)
    first = await reports.latest()
    time.now += FRESH * 0.9
    assert await reports.latest() is first
    time.now += FRESH * 0.2
    assert await reports.latest() is not first


async def test_a_look_that_took_long_is_shown_longer(time: Time) -> None:
    time.takes = 3.0
    reports = ReportCache(time.look, lambda: time.now)
    first = await reports.latest()
    time.now += REST * time.takes * 0.9
    assert await reports.latest() is first
    time.now += REST * time.takes * 0.2
    assert await reports.latest() is not first


async def test_whoever_asks_meanwhile_gets_the_same_look(time: Time) -> None:
    going, go_on = threading.Event(), threading.Event()

    def during() -> None:
        going.set()
        assert go_on.wait(30)

    time.during = during
    reports = ReportCache(time.look, lambda: time.now)
    asked = [asyncio.create_task(reports.latest()) for _ in range(20)]
    await asyncio.to_thread(going.wait, 30)
    go_on.set()
    assert len({id(report) for report in await asyncio.gather(*asked)}) == 1
    assert time.looked == 1


async def test_the_event_loop_turns_while_a_look_is_taken(time: Time) -> None:
    turned = threading.Event()
    time.during = lambda: assert_set(turned)
    reports = ReportCache(time.look, lambda: time.now)
    task = asyncio.create_task(reports.latest())
    await asyncio.sleep(0)
    turned.set()
    await task


def assert_set(event: threading.Event) -> None:
    assert event.wait(30), "the event loop stood still"


async def test_a_ledger_that_refused_is_asked_again(time: Time) -> None:
    time.trouble = [TryLaterError("The disk is full.")]
    reports = ReportCache(time.look, lambda: time.now)
    with pytest.raises(TryLaterError, match="full"):
        await reports.latest()
    assert (await reports.latest()).states[ObjectState.WAITING] == 0


def test_it_looks_while_the_courier_is_in_the_middle_of_a_commit(
    settings: Settings, ledger: Ledger
) -> None:
    """The daemon's connection is one, and whoever used it here would wait for the courier."""
    bring_to(ledger, ObjectState.WAITING, "a")
    with ledger.store.writing() as db:
        db.execute("UPDATE objects SET state = 'gone'")
        seen: list[StatusReport] = []
        looking = threading.Thread(target=lambda: seen.append(read_report_apart(settings)))
        looking.start()
        looking.join(30)
        assert seen[0].states[ObjectState.WAITING] == 1


def test_the_quarantine_is_read_only_as_far_as_it_is_shown(
    settings: Settings, ledger: Ledger
) -> None:
    for number in range(SHOWN + 3):
        bring_to(ledger, ObjectState.QUARANTINED, f"{number}")
    report = read_report_apart(settings)
    assert len(report.quarantine) == SHOWN
    assert report.states[ObjectState.QUARANTINED] == SHOWN + 3


def test_without_a_ledger_it_says_so(settings: Settings) -> None:
    with pytest.raises(MisconfiguredError, match="no ledger"):
        read_report_apart(settings)
