"""Questions to the index: put with what lacks a receipt, settled by a receipt or an answer."""

from __future__ import annotations

import pytest

from postamt_sync.ledger import Ledger, Prepared, Task
from postamt_sync.ledger.envelope_lookups import EnvelopeLookup
from postamt_sync.mail.arrival import Arrival, Envelope, Evidence, Source, Verdicts, mail_id
from tests.delivery.home import LONG_AGO

BUCKET, KEY = "mail", "incoming/x"
MAIL = mail_id(BUCKET, KEY)
TO_ANNA = Envelope(("anna@home.example",))


def announce(ledger: Ledger, envelope: Envelope | None = None, *, asked: bool = False) -> None:
    ledger.arrivals.record(
        [
            Arrival(
                *(BUCKET, KEY, Source.RECONCILE, "e", 1, LONG_AGO), envelope=envelope, asked=asked
            )
        ]
    )


def due(ledger: Ledger) -> list[Task]:
    return ledger.work.due(1000.0, 10, ())


def wait(ledger: Ledger, ask_at: float = 100.0) -> None:
    (task,) = due(ledger)
    ledger.work.await_envelope(task, 1e12, ask_at)


def asked_for(ledger: Ledger, now: float) -> list[str]:
    return [lookup.key for lookup in ledger.envelope_lookups.due(now, 10)]


def test_a_wait_for_the_envelope_puts_a_question_that_comes_due(ledger: Ledger) -> None:
    announce(ledger)
    wait(ledger)
    assert ledger.envelope_lookups.due(99.9, 10) == []
    (lookup,) = ledger.envelope_lookups.due(100.0, 10)
    assert lookup == EnvelopeLookup(MAIL, BUCKET, KEY, lookup.first_seen, LONG_AGO)


def test_without_an_index_nothing_is_asked(ledger: Ledger) -> None:
    announce(ledger)
    (task,) = due(ledger)
    ledger.work.await_envelope(task, 1e12)
    assert ledger.envelope_lookups.count() == 0


def test_a_receipt_from_anywhere_settles_the_question(ledger: Ledger) -> None:
    announce(ledger)
    wait(ledger)
    announce(ledger, Envelope((), verdicts=Verdicts(spam="PASS")))
    assert ledger.envelope_lookups.count() == 1  # it told nothing of who
    announce(ledger, TO_ANNA)
    assert ledger.envelope_lookups.count() == 0


def test_a_receipt_that_came_while_the_mail_was_fetched_leaves_no_question(ledger: Ledger) -> None:
    announce(ledger)
    (task,) = due(ledger)
    announce(ledger, TO_ANNA)
    ledger.work.await_envelope(task, 1e12, 100.0)
    assert ledger.envelope_lookups.count() == 0


def test_a_question_keeps_its_moment_when_it_is_put_again(ledger: Ledger) -> None:
    announce(ledger)
    (task,) = due(ledger)
    ledger.work.await_envelope(task, 1e12, 100.0)
    ledger.work.await_envelope(task, 1e12, 500.0)
    assert asked_for(ledger, 100.0) == [KEY]


def test_an_answer_that_names_nobody_lets_the_mail_go_on(ledger: Ledger) -> None:
    announce(ledger)
    wait(ledger)
    assert due(ledger) == []
    ledger.envelope_lookups.settle([MAIL])
    (task,) = due(ledger)
    assert task.grace_started
    assert ledger.envelope_lookups.count() == 0


def test_an_answer_leaves_the_pause_of_a_mail_that_waits_for_something_else(
    ledger: Ledger,
) -> None:
    announce(ledger)
    (task,) = due(ledger)
    ledger.work.postpone(task, "disk full", 1e12)
    ledger.envelope_lookups.settle([MAIL])
    assert due(ledger) == []
    assert [task.grace_started for task in ledger.work.due(1e13, 10, ())] == [True]


def test_what_cannot_be_asked_is_put_off_and_only_what_waited_enough_goes_on(
    ledger: Ledger,
) -> None:
    announce(ledger)
    wait(ledger)
    ledger.envelope_lookups.put_off([MAIL], 300.0)
    assert asked_for(ledger, 299.0) == []
    assert due(ledger) == []
    ledger.envelope_lookups.put_off([MAIL], 300.0, release=[MAIL])
    assert asked_for(ledger, 300.0) == [KEY]  # it is asked all the same
    assert [task.grace_started for task in due(ledger)] == [True]


def test_a_new_monotonic_clock_measures_no_longer_than_the_grace(ledger: Ledger) -> None:
    announce(ledger)
    wait(ledger, ask_at=1e9)
    ledger.envelope_lookups.restart(now=50.0, wall=LONG_AGO + 10, grace=900.0)
    assert asked_for(ledger, 939.9) == []
    assert asked_for(ledger, 940.0) == [KEY]
    ledger.envelope_lookups.restart(now=50.0, wall=LONG_AGO + 901, grace=900.0)
    assert asked_for(ledger, 50.0) == [KEY]
    ledger.envelope_lookups.restart(
        now=50.0, wall=LONG_AGO - 1e9, grace=900.0
    )  # a clock without battery
    assert asked_for(ledger, 950.0) == [KEY]


def test_what_was_asked_as_it_was_found_need_not_wait(ledger: Ledger) -> None:
    announce(ledger, asked=True)
    (task,) = due(ledger)
    assert task.grace_started
    ledger.work.make_all_due()
    (task,) = due(ledger)
    assert task.grace_started


def test_status_tells_when_the_index_is_asked_not_how_long_it_may_be_silent(
    ledger: Ledger,
) -> None:
    announce(ledger)
    wait(ledger, ask_at=100.0)
    (waiting,) = ledger.overview.waiting(10)
    assert waiting.next_attempt == 100.0
    assert waiting.awaits_envelope


@pytest.mark.parametrize("evidence", [Evidence.RECEIVED, Evidence.HEADERS])
def test_a_delivery_without_a_receipt_puts_its_question_in_the_same_transaction(
    ledger: Ledger, evidence: Evidence
) -> None:
    announce(ledger)
    (task,) = due(ledger)
    ledger.work.prepare([Prepared(task, "e", 1, LONG_AGO, evidence, (), ask_at=100.0)])
    assert asked_for(ledger, 100.0) == [KEY]
