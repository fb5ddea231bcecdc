"""Announcements and listings as upserts: what makes an object due, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.ledger.arrivals import KEPT_NOTIFICATIONS, LONGEST_NOTIFICATION
from postamt_sync.mail.arrival import Source, Verdicts
from tests.doubles.ledger import (
    BUCKET,
    KEY,
    bring_to,
    copy,
    deliver,
    due,
    event,
    listing,
    receipt,
    row,
    state,
    take,
    twin,
)

OPEN = {ObjectState.WAITING, ObjectState.DELIVERED, ObjectState.GONE}
CLOSED_TO_ENVELOPES = [s for s in ObjectState if s not in OPEN]


def test_of_each_arrival_is_told_whether_it_was_unknown(ledger: Ledger) -> None:
    said = [event(key="b"), event(key="a"), receipt("x@example.com", key="b")]
    assert ledger.arrivals.record(said) == [True, True, False]
    assert ledger.arrivals.record(said) == [False, False, False]


@pytest.mark.parametrize("at", [ObjectState.DELIVERED, ObjectState.GONE])
def test_a_late_recipient_makes_due_again(ledger: Ledger, at: ObjectState) -> None:
    bring_to(ledger, at)
    ledger.arrivals.record([receipt("late@example.com")])
    assert take(ledger).recipients == ("late@example.com",)


@pytest.mark.parametrize("at", CLOSED_TO_ENVELOPES)
def test_a_late_recipient_leaves_alone_what_a_person_or_s3_decides(
    ledger: Ledger, at: ObjectState
) -> None:
    bring_to(ledger, at)
    ledger.arrivals.record([receipt("late@example.com")])
    assert state(ledger) is at


@pytest.mark.parametrize("at", CLOSED_TO_ENVELOPES)
def test_such_a_recipient_is_kept_for_the_day_it_matters(ledger: Ledger, at: ObjectState) -> None:
    bring_to(ledger, at)
    ledger.arrivals.record([receipt("late@example.com"), event("e2")])
    assert take(ledger).recipients == ("late@example.com",)


@pytest.mark.parametrize("at", ObjectState)
def test_a_new_etag_makes_due(ledger: Ledger, at: ObjectState) -> None:
    bring_to(ledger, at)
    before = ledger.repair.find(KEY)
    ledger.arrivals.record([event("e2", size=7)])
    task = take(ledger)
    assert (task.etag, task.size) == ("e2", 7)
    assert ledger.repair.find(KEY).first_seen == before.first_seen


def test_the_first_etag_that_is_heard_opens_nothing(ledger: Ledger) -> None:
    ledger.arrivals.record([receipt("a@example.com")])
    ledger.work.end(take(ledger), ObjectState.QUARANTINED, "encrypted")
    ledger.arrivals.record([event("e1"), listing("e1")])
    assert state(ledger) is ObjectState.QUARANTINED


def test_new_verdicts_alone_change_nothing_that_is_delivered(ledger: Ledger) -> None:
    bring_to(ledger, ObjectState.DELIVERED)
    ledger.arrivals.record([receipt(spam="FAIL")])
    assert due(ledger) == []


def test_a_later_receipt_forgets_no_verdict(ledger: Ledger) -> None:
    said = [receipt("a@example.com", spam="FAIL"), receipt("b@example.com", virus="PASS")]
    ledger.arrivals.record(said)
    assert take(ledger).verdicts == Verdicts(spam="FAIL", virus="PASS")


def test_what_a_source_does_not_know_is_not_forgotten(ledger: Ledger) -> None:
    ledger.arrivals.record([listing("e1", size=7, last_modified=5.0), receipt("a@example.com")])
    task = take(ledger)
    assert (task.etag, task.size, task.last_modified) == ("e1", 7, 5.0)


# Gone and archived


@pytest.mark.parametrize("said", [receipt("a@example.com"), receipt(), event(), listing()])
def test_a_gone_object_that_is_announced_again_is_due(ledger: Ledger, said: object) -> None:
    bring_to(ledger, ObjectState.GONE)
    ledger.arrivals.record([said])  # type: ignore[list-item]
    assert due(ledger) == [KEY]


def test_a_gone_object_whose_twin_is_still_there_stays_gone(ledger: Ledger) -> None:
    ledger.arrivals.record_twins([twin("t1")])
    ledger.work.end(take(ledger), ObjectState.GONE)
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "t1", False)], twins=True) == []
    ledger.arrivals.record_twins([twin("t1")])
    assert state(ledger) is ObjectState.GONE


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_is_not_due_until_it_is_restored(
    ledger: Ledger, storage_class: str
) -> None:
    ledger.arrivals.record([listing(storage_class=storage_class)])
    assert state(ledger) is ObjectState.ARCHIVED
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "e1", True)]) == []
    ledger.arrivals.record([listing(storage_class=storage_class)])
    assert due(ledger) == []
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "e1", False)]) == [0]
    ledger.arrivals.record([listing(storage_class=storage_class, restored=True)])
    assert due(ledger) == [KEY]


def test_only_the_archived_whose_class_a_listing_does_not_show_are_tried_again(
    ledger: Ledger,
) -> None:
    ledger.arrivals.record(
        [
            listing(key="glacier", storage_class="GLACIER"),
            listing(key="tiering", storage_class="INTELLIGENT_TIERING"),
            event(key="unlisted"),
        ]
    )
    for key in ("tiering", "unlisted"):
        ledger.work.end(take(ledger, key), ObjectState.ARCHIVED)
    ledger.work.retry_archived()
    assert sorted(due(ledger)) == ["tiering", "unlisted"]


# No mail


def test_what_is_no_mail_is_skipped(ledger: Ledger) -> None:
    setup = "incoming/AMAZON_SES_SETUP_NOTIFICATION"
    ledger.arrivals.record([listing(key="incoming/", size=0), listing(key=setup)])
    ledger.arrivals.record_twins([twin(key=setup)])
    assert due(ledger) == []
    assert state(ledger, "incoming/") is state(ledger, setup) is ObjectState.SKIPPED


def test_a_marker_of_unknown_size_may_be_mail(ledger: Ledger) -> None:
    ledger.arrivals.record([receipt("a@example.com", key="incoming/x/")])
    assert due(ledger) == ["incoming/x/"]


# Adopting


@pytest.mark.parametrize("at", [ObjectState.WAITING, ObjectState.ARCHIVED, ObjectState.GONE])
def test_adopting_closes_what_no_copy_was_begun_of(ledger: Ledger, at: ObjectState) -> None:
    bring_to(ledger, at)
    assert ledger.arrivals.record([listing()], adopt=True) == [False]
    assert state(ledger) is ObjectState.ADOPTED
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "e1", False)]) == []


def test_adopting_leaves_a_quarantined_mail_for_a_person_to_see(ledger: Ledger) -> None:
    bring_to(ledger, ObjectState.QUARANTINED)
    ledger.arrivals.record([listing()], adopt=True)
    assert state(ledger) is ObjectState.QUARANTINED


def test_adopting_does_not_stop_a_delivery_that_was_begun(ledger: Ledger) -> None:
    ledger.arrivals.record([listing()])
    task = take(ledger)
    deliver(ledger, task)
    ledger.arrivals.record([event("e2")])
    ledger.work.postpone(take(ledger), "no disk", 1.0, [("anna", "no disk")])
    ledger.arrivals.record([listing("e2")], adopt=True)
    assert due(ledger) == [KEY]


def test_a_step_under_way_does_not_undo_an_adoption(ledger: Ledger) -> None:
    ledger.arrivals.record([listing()])
    task = take(ledger)
    ledger.arrivals.record([listing()], adopt=True)
    ledger.work.postpone(task, "network", 0.0)
    ledger.work.end(task, ObjectState.GONE)
    assert state(ledger) is ObjectState.ADOPTED


# Twins under the recent prefix


def test_a_twin_makes_the_object_due_without_claiming_its_etag(
    ledger: Ledger, tmp_path: Path
) -> None:
    assert ledger.arrivals.record_twins([twin("t1")]) == [True]
    found = row(tmp_path)
    assert (found["etag"], found["recent_etag"]) == (None, "t1")
    assert due(ledger) == [KEY]


def test_a_twin_seen_before_is_no_news(ledger: Ledger) -> None:
    ledger.arrivals.record_twins([twin("t1")])
    deliver(ledger, take(ledger), copy(), etag="e1")
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "t1", False)], twins=True) == []


def test_an_announced_mail_whose_twin_has_its_etag_is_no_news(ledger: Ledger) -> None:
    ledger.arrivals.record([event("e1")])
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "e1", False)], twins=True) == []


def test_a_twin_with_another_etag_costs_one_look_and_no_more(ledger: Ledger) -> None:
    bring_to(ledger, ObjectState.DELIVERED)
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "t1", False)], twins=True) == [0]
    assert ledger.arrivals.record_twins([twin("t1")]) == [False]
    task = take(ledger)
    assert task.etag is None
    ledger.work.settle_known(task, "e1", 100, 1000.0)
    assert state(ledger) is ObjectState.DELIVERED
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "t1", False)], twins=True) == []
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "e1", False)]) == []


def test_the_first_twin_of_a_mail_known_by_its_receipt_alone_is_noted(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.arrivals.record([receipt("a@example.com")])
    ledger.arrivals.record_twins([twin("t1")])
    found = row(tmp_path)
    assert (found["recent_etag"], found["revision"]) == ("t1", 0)


@pytest.mark.parametrize(
    "at", [ObjectState.ABSENT, ObjectState.ADOPTED, ObjectState.SKIPPED], ids=str
)
def test_a_twin_brings_nothing_back_that_is_not_wanted(ledger: Ledger, at: ObjectState) -> None:
    bring_to(ledger, at)
    ledger.arrivals.record_twins([twin("t1")])
    assert state(ledger) is at
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "t1", False)], twins=True) == []


# Comparing a listing


def test_a_page_is_compared_object_by_object(ledger: Ledger) -> None:
    ledger.arrivals.record([listing(key=key) for key in ("a", "b", "c", "d")])
    page = [("a", "e1", False), ("b", "e2", False), ("bb", "e1", False), ("d", "e1", False)]
    assert ledger.arrivals.unknown(BUCKET, page) == [1, 2]
    assert ledger.arrivals.unknown(BUCKET, page, twins=True) == [1, 2]
    assert ledger.arrivals.unknown("another", page) == [0, 1, 2, 3]
    assert ledger.arrivals.unknown(BUCKET, []) == []


@pytest.mark.parametrize("at", ObjectState)
def test_of_known_objects_only_the_gone_and_the_readable_again_are_news(
    ledger: Ledger, at: ObjectState
) -> None:
    bring_to(ledger, at)
    readable_again = {ObjectState.GONE, ObjectState.ARCHIVED, ObjectState.SEALED}
    news = [0] if at in readable_again else []
    assert ledger.arrivals.unknown(BUCKET, [(KEY, "e1", False)]) == news


def test_keys_are_compared_in_the_order_of_their_bytes(ledger: Ledger) -> None:
    keys = ["a", "a\uffff", "a\U0001f4ee", "b"]  # in UTF-16 the middle two change places
    assert [key.encode() for key in keys] == sorted(key.encode() for key in keys)
    ledger.arrivals.record([listing(key=key) for key in keys])
    assert ledger.arrivals.unknown(BUCKET, [(key, "e1", False) for key in keys]) == []


# Notices


def test_the_newest_notices_are_kept_and_cut(ledger: Ledger, tmp_path: Path) -> None:
    for number in range(KEPT_NOTIFICATIONS + 5):
        ledger.arrivals.keep_notification(
            Source.WEBHOOK, f"reason {number}", "x" * 2 * LONGEST_NOTIFICATION
        )
    kept = ledger.overview.notifications()
    assert len(kept) == KEPT_NOTIFICATIONS
    assert kept[0].reason == f"reason {KEPT_NOTIFICATIONS + 4}"
    with ledger.store.reading() as db:
        (longest,) = db.execute("SELECT max(length(text)) FROM notices").fetchone()
    assert longest == LONGEST_NOTIFICATION
