"""What is due, in which order, and what a pause means after a restart or a returned network."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.ledger.rows import DueState, EnvelopeState
from postamt_sync.mail.arrival import Source
from tests.doubles.ledger import (
    LATER,
    copy,
    deliver,
    due,
    event,
    failing,
    listing,
    prepared,
    receipt,
    row,
    take,
)


def test_announced_mail_comes_before_a_backfill_and_the_oldest_first(ledger: Ledger) -> None:
    ledger.arrivals.record(
        [
            listing(key="old", last_modified=1.0),
            listing(key="older", last_modified=0.5, source=Source.SYNC),
            event(key="announced"),
            listing(key="polled", last_modified=2.0, source=Source.POLL),
        ]
    )
    assert due(ledger, 0.0) == ["announced", "polled", "older", "old"]


def test_a_known_mail_that_is_announced_overtakes_the_backfill(ledger: Ledger) -> None:
    ledger.arrivals.record([listing(key="a"), listing(key="b", last_modified=5000.0)])
    ledger.arrivals.record([receipt("late@example.com", key="b")])
    assert due(ledger) == ["b", "a"]


def test_no_more_than_asked_for_and_none_that_is_busy(ledger: Ledger) -> None:
    ledger.arrivals.record([listing(key=f"{n}", last_modified=n) for n in range(5)])
    busy = {take(ledger, "0").mail, take(ledger, "2").mail}
    assert [task.key for task in ledger.work.due(LATER, 2, busy)] == ["1", "3"]
    assert ledger.work.due(LATER, 0, ()) == []


def test_a_pause_is_kept_to_the_moment(ledger: Ledger) -> None:
    ledger.arrivals.record([listing()])
    ledger.work.postpone(take(ledger), "network", 50.0)
    assert due(ledger, 49.9) == []
    assert len(due(ledger, 50.0)) == 1


def test_attempts_are_counted_and_the_reason_is_shown(ledger: Ledger) -> None:
    ledger.arrivals.record([listing()])
    for _ in range(3):
        ledger.work.postpone(take(ledger), "network", 1.0)
    assert take(ledger).attempts == 3
    (waiting,) = ledger.overview.waiting(10)
    assert (waiting.attempts, waiting.problem, waiting.next_attempt) == (3, "network", 1.0)


def test_a_restart_forgets_pauses_but_not_the_order(ledger: Ledger, tmp_path: Path) -> None:
    ledger.arrivals.record([listing(key="backfill"), event(key="announced"), event(key="done")])
    deliver(ledger, take(ledger, "done"), copy())
    ledger.arrivals.record([event(key="paused"), event(key="graced")])
    ledger.work.postpone(take(ledger, "paused"), "network", LATER)
    ledger.work.await_envelope(take(ledger, "graced"), LATER)
    assert ledger.work.make_all_due() == 4
    assert row(tmp_path, "announced")["due"] == DueState.FIRST
    assert row(tmp_path, "backfill")["due"] == DueState.BACKFILL
    assert set(due(ledger, 0.0)) == {"announced", "backfill", "paused", "graced"}
    assert due(ledger, 0.0)[-1] == "backfill"
    assert not take(ledger, "graced").grace_started


def test_hurry_makes_due_what_failed_and_not_what_waits_for_its_envelope(ledger: Ledger) -> None:
    ledger.arrivals.record([event(key="failed"), event(key="graced")])
    ledger.work.postpone(take(ledger, "failed"), "network", LATER)
    ledger.work.await_envelope(take(ledger, "graced"), LATER)
    ledger.work.retry_now()
    assert due(ledger, 0.0) == ["failed"]


def test_hurry_makes_due_what_failed_after_a_vain_wait_for_its_envelope(ledger: Ledger) -> None:
    ledger.arrivals.record([event()])
    ledger.work.await_envelope(take(ledger), 5.0)
    ledger.work.postpone(take(ledger), "network", LATER)
    assert take(ledger).grace_started  # it need not wait a second time
    ledger.work.retry_now()
    assert len(due(ledger, 0.0)) == 1
    (waiting,) = ledger.overview.waiting(1)
    assert not waiting.awaits_envelope


def test_an_envelope_ends_the_wait_for_it(ledger: Ledger, tmp_path: Path) -> None:
    ledger.arrivals.record([event()])
    ledger.work.await_envelope(take(ledger), LATER)
    (waiting,) = ledger.overview.waiting(1)
    assert waiting.awaits_envelope
    ledger.arrivals.record([receipt("a@example.com")])
    assert row(tmp_path)["due"] == DueState.FIRST
    assert row(tmp_path)["envelope"] == EnvelopeState.UNKNOWN


def test_hurrying_a_mailbox_hurries_nobody_else(ledger: Ledger) -> None:
    ledger.arrivals.record([event(key=key) for key in ("anna", "bert", "graced", "done")])
    for key in ("anna", "bert"):
        ledger.work.postpone(take(ledger, key), "no disk", LATER, [(key, "no disk")])
    graced = take(ledger, "graced")
    ledger.work.postpone(graced, "no disk", 1.0, [("anna", "no disk")])
    ledger.work.await_envelope(graced, LATER)
    deliver(ledger, take(ledger, "done"), copy("anna"))
    ledger.work.retry_mailbox_now("anna")
    assert due(ledger, 0.0) == ["anna"]


def test_hurrying_a_mailbox_reaches_a_mail_of_which_another_has_its_copy(ledger: Ledger) -> None:
    ledger.arrivals.record([event()])
    task = take(ledger)
    ledger.work.prepare([prepared(task, copy("anna"), failed=(failing("bert"),))])
    ledger.work.settle([(task, [copy("anna")])])
    ledger.work.postpone(task, "no disk", LATER)
    ledger.work.retry_mailbox_now("anna")
    assert due(ledger, 0.0) == []
    ledger.work.retry_mailbox_now("bert")
    assert len(due(ledger, 0.0)) == 1


@pytest.mark.parametrize("at", [s for s in ObjectState if s is not ObjectState.WAITING])
def test_only_what_waits_is_due(ledger: Ledger, at: ObjectState) -> None:
    ledger.arrivals.record([event()])
    ledger.work.end(take(ledger), at)
    ledger.work.retry_now()
    assert ledger.work.make_all_due() == 0
    assert due(ledger) == []


def test_the_question_what_is_due_never_sorts_the_whole_backfill(ledger: Ledger) -> None:
    asked: list[str] = []
    with ledger.store.reading() as connection:
        connection.set_trace_callback(asked.append)
    ledger.work.due(0.0, 10, ())
    connection.set_trace_callback(None)
    envelope_lookups = [sql for sql in asked if "FROM objects" in sql]
    assert envelope_lookups
    for lookup in envelope_lookups:
        explained = connection.execute(f"EXPLAIN QUERY PLAN {lookup}")
        plan = " ".join(row["detail"] for row in explained)
        assert "objects_due" in plan
        assert "due=? AND next_attempt<?" in plan
        assert "TEMP B-TREE" not in plan


def test_what_is_tried_again_comes_before_a_backfill(ledger: Ledger) -> None:
    ledger.arrivals.record([listing(key="backfill"), event(key="failed")])
    ledger.work.postpone(take(ledger, "failed"), "network", 50.0)
    assert due(ledger, 49.0) == ["backfill"]
    assert due(ledger, 50.0) == ["failed", "backfill"]
