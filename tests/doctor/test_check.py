"""No check can hold up the others, and whatever happens in one becomes a finding."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from postamt_sync.aws.errors import ForbiddenError
from postamt_sync.doctor.check import AdministratorsCheck, NotCheckedError, examine
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.errors import TryLaterError

WELL = Finding("well", Severity.OK, "All is well.")


@dataclass(frozen=True)
class Told:
    """Does what it is told."""

    subject: str
    act: Callable[[], object]

    def look(self) -> Iterable[Finding]:
        self.act()
        yield WELL


def fail(error: Exception) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


async def test_one_that_hangs_is_left_behind_and_named() -> None:
    never = threading.Event()
    try:
        hung, well = await examine([Told("dns", never.wait), Told("x", lambda: None)], seconds=0.1)
    finally:
        never.set()
    assert (hung.subject, hung.outcome) == ("dns", Severity.FAILURE)
    assert "0.1 s" in hung.words
    assert hung.remedy
    assert well == WELL


async def test_they_run_at_the_same_time() -> None:
    barrier = threading.Barrier(3)
    found = await examine([Told(str(n), barrier.wait) for n in range(3)], seconds=60)
    assert found == [WELL] * 3


async def test_the_order_is_that_of_the_checks_and_not_of_their_ends() -> None:
    second_ended = threading.Event()
    first = Told("first", lambda: second_ended.wait(60) and fail(TryLaterError("One."))())
    second = Told("second", second_ended.set)
    assert [f.words for f in await examine([first, second])] == ["One.", "All is well."]


async def test_what_is_raised_becomes_a_finding() -> None:
    later, foreign, blocked = await examine(
        [
            Told("later", fail(TryLaterError("The network is away.", "Plug it in."))),
            Told("foreign", fail(RuntimeError("no such \x1b[31mthing"))),
            Told("blocked", fail(NotCheckedError("Not checked.", "Fix the other."))),
        ]
    )
    assert later == Finding("later", Severity.FAILURE, "The network is away.", "Plug it in.")
    assert foreign.outcome is Severity.FAILURE
    assert "\x1b" not in foreign.words
    assert blocked == Finding("blocked", Severity.WARNING, "Not checked.", "Fix the other.")


async def test_what_was_found_before_it_broke_off_is_kept() -> None:
    @dataclass(frozen=True)
    class Broken:
        subject: str = "half"

        def look(self) -> Iterable[Finding]:
            yield WELL
            raise TryLaterError("The rest is away.")

    found = await examine([Broken()])
    assert [f.words for f in found] == ["All is well.", "The rest is away."]


async def test_only_a_refusal_is_a_warning_to_those_who_are_no_administrator() -> None:
    forbidden = ForbiddenError("The AWS credentials may not ses:GetAccount.")
    checks = [AdministratorsCheck(Told("s", fail(e))) for e in (forbidden, TryLaterError("Away."))]
    refused, away = await examine(checks)
    assert refused.outcome is Severity.WARNING
    assert "ses:GetAccount" in refused.words
    assert "administrator" in refused.remedy
    assert away.outcome is Severity.FAILURE
