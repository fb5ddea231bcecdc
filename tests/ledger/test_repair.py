"""What a person may do to single mails, and by which names they are found."""

from __future__ import annotations

import pytest

from postamt_sync.errors import UsageError
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.mail.arrival import Arrival, Source, mail_id
from tests.doubles.ledger import (
    BUCKET,
    KEY,
    LATER,
    bring_to,
    copy,
    deliver,
    due,
    event,
    state,
    take,
)


def quarantine(ledger: Ledger, *keys: str) -> None:
    ledger.arrivals.record([event(key=key) for key in keys])
    for key in keys:
        ledger.work.end(take(ledger, key), ObjectState.QUARANTINED, f"{key} is encrypted")


def test_the_quarantine_shows_the_newest_first_with_its_reason(ledger: Ledger) -> None:
    quarantine(ledger, "a", "b")
    ledger.arrivals.record([event(key="fine")])
    shown = ledger.repair.quarantined()
    assert [known.key for known in shown] == ["b", "a"]
    assert shown[0].problem == "b is encrypted"


def test_one_quarantined_mail_is_tried_again(ledger: Ledger) -> None:
    quarantine(ledger, "a", "b")
    assert ledger.repair.retry_quarantined("a") == 1
    assert due(ledger, 0.0) == ["a"]
    assert take(ledger, "a").attempts == 0


def test_all_quarantined_mail_is_tried_again(ledger: Ledger) -> None:
    quarantine(ledger, "a", "b")
    bring_to(ledger, ObjectState.DELIVERED)
    assert ledger.repair.retry_quarantined() == 2
    assert sorted(due(ledger)) == ["a", "b"]
    assert ledger.repair.retry_quarantined() == 0


def test_what_is_not_quarantined_is_not_retried(ledger: Ledger) -> None:
    bring_to(ledger, ObjectState.DELIVERED)
    with pytest.raises(UsageError, match="is not quarantined, it is delivered"):
        ledger.repair.retry_quarantined(KEY)
    assert due(ledger) == []


@pytest.mark.parametrize("at", [s for s in ObjectState if s is not ObjectState.SKIPPED])
def test_a_mail_is_delivered_once_more_in_a_new_edition(ledger: Ledger, at: ObjectState) -> None:
    bring_to(ledger, at)
    known = ledger.repair.redeliver(KEY)
    task = take(ledger)
    assert (task.edition, task.etag, task.attempts) == (1, None, 0)
    assert due(ledger, 0.0) == [KEY]
    assert known.state == "waiting"


def test_delivered_copies_stay_known(ledger: Ledger) -> None:
    bring_to(ledger, ObjectState.DELIVERED)
    ledger.repair.redeliver(KEY)
    task = take(ledger)
    assert [c.stem for c in task.deliveries] == ["s1"]
    deliver(ledger, task, copy(stem="s1R1"))
    assert ledger.repair.find(KEY).mailboxes == ("anna",)
    ledger.repair.redeliver(KEY)
    assert take(ledger).edition == 2


def test_what_is_no_mail_is_not_redelivered(ledger: Ledger) -> None:
    bring_to(ledger, ObjectState.SKIPPED)
    with pytest.raises(UsageError, match="is not a mail"):
        ledger.repair.redeliver(KEY)


def test_redelivering_does_not_cut_the_wait_for_an_envelope_short(ledger: Ledger) -> None:
    ledger.arrivals.record([event()])
    ledger.work.await_envelope(take(ledger), LATER)
    ledger.repair.redeliver(KEY)
    assert not take(ledger).grace_started


# Names


@pytest.mark.parametrize("name", ["incoming/a", "a", mail_id(BUCKET, KEY)])
def test_a_mail_is_found_by_key_base_name_or_id(ledger: Ledger, name: str) -> None:
    ledger.arrivals.record([event(), event(key="incoming/ba"), event(key="incoming/c")])
    assert ledger.repair.find(name).key == KEY


@pytest.mark.parametrize(
    "name", ["", "b", "incoming", "ncoming/a", "%", "_", "incoming/%", "x" * 2000, "bad\udcff"]
)
def test_an_unknown_name_is_refused(ledger: Ledger, name: str) -> None:
    ledger.arrivals.record([event()])
    with pytest.raises(UsageError, match="no mail with the name") as caught:
        ledger.repair.find(name)
    assert caught.value.problem.isprintable()
    assert "mail id" in caught.value.hint


def test_a_name_of_several_mails_is_refused(ledger: Ledger) -> None:
    ledger.arrivals.record([event(key="x/a"), event(key="y/a")])
    with pytest.raises(UsageError, match="Several mails have the name a") as caught:
        ledger.repair.redeliver("a")
    assert "whole key" in caught.value.hint
    assert state(ledger, "x/a") is state(ledger, "y/a") is ObjectState.WAITING
    assert take(ledger, "x/a").edition == take(ledger, "y/a").edition == 0


def test_an_exact_key_wins_over_any_number_of_base_names(ledger: Ledger) -> None:
    keys = ["a/m", "b/m", "c/m", "m", "z/m"]
    ledger.arrivals.record([event(key=key) for key in keys])
    assert ledger.repair.find("m").key == "m"


def test_one_key_in_two_buckets_is_told_apart_by_the_mail_id(ledger: Ledger) -> None:
    ledger.arrivals.record([event(), Arrival("old-bucket", KEY, Source.POLL)])
    with pytest.raises(UsageError, match="Several"):
        ledger.repair.find(KEY)
    assert ledger.repair.find(mail_id("old-bucket", KEY)).bucket == "old-bucket"
