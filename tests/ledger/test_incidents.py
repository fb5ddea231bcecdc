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
    Incident,
    Incidents,
)

NOW = 1_790_000_000.0
BOUNCES, DISK = Cause.BOUNCES, Cause.DISK


def bounce(what: str, at: float = NOW) -> Incident:
    return Incident(BOUNCES, what, at, f"about {what}")


def whats(incidents: list[Incident]) -> list[str]:
    return [trouble.what for trouble in incidents]


@pytest.fixture
def incidents(ledger: Ledger) -> Incidents:
    return ledger.incidents


def tell(incidents: Incidents, cause: Cause = BOUNCES, now: float = NOW) -> str:
    alert = incidents.tell(incidents.to_tell(cause, now), b"body", now)
    assert alert is not None
    return alert.mail


def deliver(incidents: Incidents, now: float = NOW) -> None:
    for alert in incidents.undelivered():
        incidents.delivered(alert, now)


# What happened


def test_what_happened_counts_once(incidents: Incidents) -> None:
    assert incidents.happened([bounce("a"), bounce("b")]) == 2
    assert incidents.happened([bounce("b"), bounce("c")]) == 1
    assert whats(incidents.to_tell(BOUNCES, NOW)) == ["a", "b", "c"]


def test_it_counts_once_also_after_it_was_told(incidents: Incidents) -> None:
    incidents.happened([bounce("a")])
    tell(incidents)
    deliver(incidents)
    assert incidents.happened([bounce("a")]) == 0
    assert incidents.to_tell(BOUNCES, NOW + 2 * DAY) == []


def test_incidents_of_different_causes_do_not_mix(incidents: Incidents) -> None:
    incidents.happened([bounce("a"), Incident(Cause.COMPLAINTS, "a", NOW, "x")])
    tell(incidents)
    assert whats(incidents.to_tell(Cause.COMPLAINTS, NOW)) == ["a"]


@pytest.mark.slow
def test_the_number_of_events_kept_of_a_cause_is_bounded(incidents: Incidents) -> None:
    incidents.happened([bounce(f"{n:06}", NOW + n) for n in range(KEPT + 50)])
    kept = whats(incidents.to_tell(BOUNCES, NOW))
    assert (len(kept), kept[0]) == (KEPT, "000050"), "the oldest are forgotten"


def test_details_are_bounded(incidents: Incidents) -> None:
    incidents.happened([Incident(BOUNCES, "a", NOW, "x" * 100_000)])
    assert len(incidents.to_tell(BOUNCES, NOW)[0].detail) == LONGEST_DETAIL


# At most one a day


def test_one_a_day_tells_all_that_came_meanwhile(incidents: Incidents) -> None:
    incidents.happened([bounce("a")])
    tell(incidents)
    deliver(incidents)
    incidents.happened([bounce("b", NOW + 1), bounce("c", NOW + 2)])
    assert incidents.to_tell(BOUNCES, NOW + DAY - 1) == []
    assert whats(incidents.to_tell(BOUNCES, NOW + DAY)) == ["b", "c"]


def test_none_while_an_earlier_one_waits(incidents: Incidents) -> None:
    incidents.happened([bounce("a")])
    tell(incidents)
    incidents.happened([bounce("b")])
    assert incidents.to_tell(BOUNCES, NOW + 9 * DAY) == []
    deliver(incidents, NOW + 9 * DAY)
    assert whats(incidents.to_tell(BOUNCES, NOW + 9 * DAY)) == ["b"]


def test_two_at_once_write_one_alert(incidents: Incidents) -> None:
    """As where two processes have looked before either has written."""
    incidents.happened([bounce("a")])
    told = incidents.to_tell(BOUNCES, NOW)
    assert incidents.tell(told, b"one", NOW) is not None
    assert incidents.tell(told, b"two", NOW) is None
    assert [alert.body for alert in incidents.undelivered()] == [b"one"]


def test_a_restart_changes_nothing(incidents: Incidents, ledger: Ledger) -> None:
    incidents.happened([bounce("a")])
    mail = tell(incidents)
    again = Ledger.open(ledger.store.path.parent)
    try:
        assert [alert.mail for alert in again.incidents.undelivered()] == [mail]
        deliver(again.incidents)
        again.incidents.happened([bounce("b")])
        assert again.incidents.to_tell(BOUNCES, NOW + 60) == []
    finally:
        again.close()


def test_a_clock_that_was_wrong_does_not_silence_us_forever(incidents: Incidents) -> None:
    incidents.happened([bounce("a")])
    tell(incidents, now=NOW + 1000 * DAY)
    deliver(incidents)
    incidents.happened([bounce("b")])
    assert whats(incidents.to_tell(BOUNCES, NOW)) == ["b"]


# What lasts


def test_what_lasts_is_told_after_a_while_and_then_daily(incidents: Incidents) -> None:
    incidents.lasting(DISK, {"/": "full"}, NOW)
    assert incidents.to_tell(DISK, NOW + SETTLED - 1) == []
    assert whats(incidents.to_tell(DISK, NOW + SETTLED)) == ["/"]
    tell(incidents, DISK, NOW + SETTLED)
    deliver(incidents)
    incidents.lasting(DISK, {"/": "full"}, NOW + DAY)
    assert incidents.to_tell(DISK, NOW + SETTLED + DAY - 1) == []
    assert whats(incidents.to_tell(DISK, NOW + SETTLED + DAY)) == ["/"]


def test_what_passes_before_it_was_told_is_not_told(incidents: Incidents) -> None:
    incidents.lasting(DISK, {"/": "full"}, NOW)
    incidents.lasting(DISK, {}, NOW + 60)
    assert incidents.to_tell(DISK, NOW + DAY) == []
    incidents.lasting(DISK, {"/": "full"}, NOW + DAY)
    assert incidents.to_tell(DISK, NOW + DAY + 60) == [], "it started over"


def test_what_lasts_keeps_its_beginning(incidents: Incidents) -> None:
    incidents.lasting(DISK, {"/": "full"}, NOW)
    incidents.lasting(DISK, {"/": "fuller", "/mail": "full"}, NOW + SETTLED)
    (old, new) = sorted(incidents.current([DISK], NOW + SETTLED), key=lambda t: t.at)
    assert (old.what, old.at, new.what, new.at) == ("/", NOW, "/mail", NOW + SETTLED)
    assert (old.detail, new.detail) == ("fuller", "full"), "and its newest detail"


def test_a_detail_of_any_length_is_written_once(incidents: Incidents, ledger: Ledger) -> None:
    incidents.lasting(DISK, {"/": "full" * 10_000}, NOW)
    with ledger.store.reading() as db:
        before = db.total_changes
    incidents.lasting(DISK, {"/": "full" * 10_000}, NOW + 60)
    with ledger.store.reading() as db:
        assert db.total_changes == before


def test_without_a_change_nothing_is_written(incidents: Incidents, ledger: Ledger) -> None:
    incidents.lasting(DISK, {"/": "full"}, NOW)
    incidents.happened([bounce("a")])
    other = sqlite3.connect(ledger.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # whoever writes now has to wait, and fails
    incidents.lasting(DISK, {"/": "full"}, NOW + 60)
    incidents.happened([bounce("a")])
    other.close()


# What is kept, and for how long


def test_status_shows_what_lasts_what_waits_and_what_was_told_today(incidents: Incidents) -> None:
    incidents.happened([bounce("a")])
    incidents.lasting(DISK, {"/": "full"}, NOW)
    assert whats(incidents.current([BOUNCES, DISK], NOW)) == ["a", "/"]
    assert whats(incidents.current([DISK], NOW)) == ["/"]
    tell(incidents)
    (told, _) = incidents.current([BOUNCES, DISK], NOW + DAY - 1)
    assert (told.what, told.told) == ("a", True)
    assert whats(incidents.current([BOUNCES, DISK], NOW + DAY)) == ["/"]


def test_what_is_old_is_forgotten_but_not_what_waits(incidents: Incidents) -> None:
    later = NOW + 31 * DAY
    incidents.happened([bounce("a")])
    incidents.lasting(DISK, {"/": "full"}, NOW)
    first = tell(incidents)
    deliver(incidents)
    waiting = tell(incidents, DISK, NOW + SETTLED)
    incidents.happened([bounce("b", later)])
    tell(incidents, now=later)
    assert incidents.happened([bounce("a")]) == 1, "forgotten"
    alerts = {alert.mail for alert in incidents.undelivered()}
    assert waiting in alerts
    assert first not in alerts
