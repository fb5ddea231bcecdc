"""What is to be told, when it may be, and that nothing is told twice or forgotten."""

from __future__ import annotations

import sqlite3

import pytest

from postamt_sync.ledger import Ledger
from postamt_sync.ledger.incidents import (
    DAY,
    KEPT,
    LONGEST_DETAIL,
    SETTLED,
    Cause,
    Trouble,
    Troubles,
)

NOW = 1_790_000_000.0
BOUNCES, DISK = Cause.BOUNCES, Cause.DISK


def bounce(what: str, at: float = NOW) -> Trouble:
    return Trouble(BOUNCES, what, at, f"about {what}")


def whats(troubles: list[Trouble]) -> list[str]:
    return [trouble.what for trouble in troubles]


@pytest.fixture
def troubles(ledger: Ledger) -> Troubles:
    return ledger.troubles


def tell(troubles: Troubles, cause: Cause = BOUNCES, now: float = NOW) -> str:
    alert = troubles.tell(troubles.to_tell(cause, now), b"body", now)
    assert alert is not None
    return alert.mail


def deliver(troubles: Troubles, now: float = NOW) -> None:
    for alert in troubles.undelivered():
        troubles.delivered(alert, now)


# What happened


def test_what_happened_counts_once(troubles: Troubles) -> None:
    assert troubles.happened([bounce("a"), bounce("b")]) == 2
    assert troubles.happened([bounce("b"), bounce("c")]) == 1
    assert whats(troubles.to_tell(BOUNCES, NOW)) == ["a", "b", "c"]


def test_it_counts_once_also_after_it_was_told(troubles: Troubles) -> None:
    troubles.happened([bounce("a")])
    tell(troubles)
    deliver(troubles)
    assert troubles.happened([bounce("a")]) == 0
    assert troubles.to_tell(BOUNCES, NOW + 2 * DAY) == []


def test_causes_do_not_mix(troubles: Troubles) -> None:
    troubles.happened([bounce("a"), Trouble(Cause.COMPLAINTS, "a", NOW, "x")])
    tell(troubles)
    assert whats(troubles.to_tell(Cause.COMPLAINTS, NOW)) == ["a"]


def test_their_number_is_bounded(troubles: Troubles) -> None:
    troubles.happened([bounce(f"{n:06}", NOW + n) for n in range(KEPT + 50)])
    kept = whats(troubles.to_tell(BOUNCES, NOW))
    assert (len(kept), kept[0]) == (KEPT, "000050"), "the oldest are forgotten"


def test_details_are_bounded(troubles: Troubles) -> None:
    troubles.happened([Trouble(BOUNCES, "a", NOW, "x" * 100_000)])
    assert len(troubles.to_tell(BOUNCES, NOW)[0].detail) == LONGEST_DETAIL


# At most one a day


def test_one_a_day_tells_all_that_came_meanwhile(troubles: Troubles) -> None:
    troubles.happened([bounce("a")])
    tell(troubles)
    deliver(troubles)
    troubles.happened([bounce("b", NOW + 1), bounce("c", NOW + 2)])
    assert troubles.to_tell(BOUNCES, NOW + DAY - 1) == []
    assert whats(troubles.to_tell(BOUNCES, NOW + DAY)) == ["b", "c"]


def test_none_while_an_earlier_one_waits(troubles: Troubles) -> None:
    troubles.happened([bounce("a")])
    tell(troubles)
    troubles.happened([bounce("b")])
    assert troubles.to_tell(BOUNCES, NOW + 9 * DAY) == []
    deliver(troubles, NOW + 9 * DAY)
    assert whats(troubles.to_tell(BOUNCES, NOW + 9 * DAY)) == ["b"]


def test_two_at_once_write_one(troubles: Troubles) -> None:
    """As where two processes have looked before either has written."""
    troubles.happened([bounce("a")])
    told = troubles.to_tell(BOUNCES, NOW)
    assert troubles.tell(told, b"one", NOW) is not None
    assert troubles.tell(told, b"two", NOW) is None
    assert [alert.body for alert in troubles.undelivered()] == [b"one"]


def test_a_restart_changes_nothing(troubles: Troubles, ledger: Ledger) -> None:
    troubles.happened([bounce("a")])
    mail = tell(troubles)
    again = Ledger.open(ledger.store.path.parent)
    try:
        assert [alert.mail for alert in again.troubles.undelivered()] == [mail]
        deliver(again.troubles)
        again.troubles.happened([bounce("b")])
        assert again.troubles.to_tell(BOUNCES, NOW + 60) == []
    finally:
        again.close()


def test_a_clock_that_was_wrong_does_not_silence_us_for_ever(troubles: Troubles) -> None:
    troubles.happened([bounce("a")])
    tell(troubles, now=NOW + 1000 * DAY)
    deliver(troubles)
    troubles.happened([bounce("b")])
    assert whats(troubles.to_tell(BOUNCES, NOW)) == ["b"]


# What lasts


def test_what_lasts_is_told_after_a_while_and_then_daily(troubles: Troubles) -> None:
    troubles.lasting(DISK, {"/": "full"}, NOW)
    assert troubles.to_tell(DISK, NOW + SETTLED - 1) == []
    assert whats(troubles.to_tell(DISK, NOW + SETTLED)) == ["/"]
    tell(troubles, DISK, NOW + SETTLED)
    deliver(troubles)
    troubles.lasting(DISK, {"/": "full"}, NOW + DAY)
    assert troubles.to_tell(DISK, NOW + SETTLED + DAY - 1) == []
    assert whats(troubles.to_tell(DISK, NOW + SETTLED + DAY)) == ["/"]


def test_what_passes_before_it_was_told_is_not_told(troubles: Troubles) -> None:
    troubles.lasting(DISK, {"/": "full"}, NOW)
    troubles.lasting(DISK, {}, NOW + 60)
    assert troubles.to_tell(DISK, NOW + DAY) == []
    troubles.lasting(DISK, {"/": "full"}, NOW + DAY)
    assert troubles.to_tell(DISK, NOW + DAY + 60) == [], "it began anew"


def test_what_lasts_keeps_its_beginning(troubles: Troubles) -> None:
    troubles.lasting(DISK, {"/": "full"}, NOW)
    troubles.lasting(DISK, {"/": "fuller", "/mail": "full"}, NOW + SETTLED)
    (old, new) = sorted(troubles.current([DISK], NOW + SETTLED), key=lambda t: t.at)
    assert (old.what, old.at, new.what, new.at) == ("/", NOW, "/mail", NOW + SETTLED)


def test_without_a_change_nothing_is_written(troubles: Troubles, ledger: Ledger) -> None:
    troubles.lasting(DISK, {"/": "full"}, NOW)
    troubles.happened([bounce("a")])
    other = sqlite3.connect(ledger.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # whoever writes now has to wait, and fails
    troubles.lasting(DISK, {"/": "fuller"}, NOW + 60)
    troubles.happened([bounce("a")])
    other.close()


# What is kept, and for how long


def test_status_shows_what_lasts_what_waits_and_what_was_told_today(troubles: Troubles) -> None:
    troubles.happened([bounce("a")])
    troubles.lasting(DISK, {"/": "full"}, NOW)
    assert whats(troubles.current([BOUNCES, DISK], NOW)) == ["a", "/"]
    assert whats(troubles.current([DISK], NOW)) == ["/"]
    tell(troubles)
    (told, _) = troubles.current([BOUNCES, DISK], NOW + DAY - 1)
    assert (told.what, told.told) == ("a", True)
    assert whats(troubles.current([BOUNCES, DISK], NOW + DAY)) == ["/"]


def test_what_is_old_is_forgotten_but_not_what_waits(troubles: Troubles) -> None:
    later = NOW + 31 * DAY
    troubles.happened([bounce("a")])
    troubles.lasting(DISK, {"/": "full"}, NOW)
    first = tell(troubles)
    deliver(troubles)
    waiting = tell(troubles, DISK, NOW + SETTLED)
    troubles.happened([bounce("b", later)])
    tell(troubles, now=later)
    assert troubles.happened([bounce("a")]) == 1, "forgotten"
    alerts = {alert.mail for alert in troubles.undelivered()}
    assert waiting in alerts
    assert first not in alerts
