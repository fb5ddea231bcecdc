"""What `status` is told."""

from __future__ import annotations

from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.ledger.overview import MailboxHealth
from tests.doubles.ledger import (
    bring_to,
    copy,
    deliver,
    event,
    failing,
    prepared,
    take,
)


def test_every_state_is_counted_also_where_nothing_is_in_it(ledger: Ledger) -> None:
    for number, state in enumerate(s for s in ObjectState if s is not ObjectState.GONE):
        bring_to(ledger, state, f"{number}")
    assert ledger.overview.states() == {s: 0 if s is ObjectState.GONE else 1 for s in ObjectState}


def test_mailboxes_come_as_configured_then_those_that_once_were(ledger: Ledger) -> None:
    ledger.arrivals.record([event(key="a"), event(key="b")])
    deliver(ledger, take(ledger, "a"), copy("former"), copy("anna"))
    task = take(ledger, "b")
    ledger.work.prepare([prepared(task, copy("anna"), failed=(failing("bert", "no disk"),))])
    anna, bert, carl, former = ledger.overview.mailboxes(["anna", "bert", "carl"])
    assert (anna.mailbox, anna.delivered, anna.waiting) == ("anna", 1, 1)
    assert anna.last_delivered_at is not None
    assert bert == MailboxHealth("bert", 0, None, 1, "no disk")
    assert carl == MailboxHealth("carl", 0, None, 0, None)
    assert (former.mailbox, former.delivered) == ("former", 1)


def test_what_has_a_problem_is_shown_first_then_the_longest_waiting(ledger: Ledger) -> None:
    for key in ("first", "second", "bad"):
        ledger.arrivals.record([event(key=key)])
    ledger.work.postpone(take(ledger, "bad"), "no disk", 5.0)
    assert [w.key for w in ledger.overview.waiting(10)] == ["bad", "first", "second"]
    assert [w.key for w in ledger.overview.waiting(1)] == ["bad"]


def test_a_source_that_works_again_has_no_problem_any_more(ledger: Ledger) -> None:
    ledger.overview.source_bad("poll", "no network")
    (poll,) = ledger.overview.sources()
    assert (poll.ok_at, poll.problem) == (None, "no network")
    ledger.overview.source_ok("poll", "3 listed, 0 new")
    (poll,) = ledger.overview.sources()
    assert poll.problem is None
    assert poll.detail == "3 listed, 0 new"
    assert poll.ok_at is not None
    assert poll.bad_at is not None
    ledger.overview.source_bad("poll", "no network")
    (poll,) = ledger.overview.sources()
    assert (poll.problem, poll.detail) == ("no network", "3 listed, 0 new")
