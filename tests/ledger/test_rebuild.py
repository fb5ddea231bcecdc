"""What names make of objects, in whatever order names, listings and announcements come."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from postamt_sync.ledger import DeliveryState, Ledger, ObjectState
from postamt_sync.ledger.found_copies import FoundCopy
from postamt_sync.ledger.rebuild import Rebuilt
from postamt_sync.mail.arrival import Arrival, Envelope, etag_hash, mail_id
from postamt_sync.mail.routing import Addressee, Routes
from postamt_sync.recovery.decisions import RecoveryDecisions
from tests.doubles.ledger import (
    BUCKET,
    KEY,
    bring_to,
    due,
    listing,
    receipt,
    state,
    take,
    twin,
)

OLD, NEW, NEWER = "incoming/old", "incoming/new", "incoming/newer"
ANNA, BRUNO = "anna@example.com", "bruno@example.com"
ROUTES = Routes([Addressee("anna", (ANNA,), True), Addressee("bruno", (BRUNO,), False)])
TIMES = {OLD: 1000.0, NEW: 2000.0, NEWER: 3000.0, KEY: 1500.0}


def trace(
    key: str = KEY, mailbox: str = "anna", etag: str = "e1", edition: int = 0, draft: bool = False
) -> FoundCopy:
    mail = mail_id(BUCKET, key)
    again = f"R{edition}" if edition else ""
    stem = f"{int(TIMES[key])}.M000000K{mail}E{etag_hash(etag)}{again}.postamt"
    root = f"/mail/{mailbox}"
    return FoundCopy(
        mail, mailbox, stem, root, "", stem, etag_hash(etag), edition, TIMES[key], draft
    )


def listed(key: str = KEY, *recipients: str, **known: object) -> Arrival:
    """What a listing finds, and the index knows."""
    arrival = listing(key=key, last_modified=TIMES[key], **known)  # type: ignore[arg-type]
    return replace(arrival, envelope=Envelope(recipients or (ANNA,)))


def begin(ledger: Ledger, *found_copies: FoundCopy) -> int:
    ledger.rebuild.begin([("anna", "/mail/anna")])
    return ledger.rebuild.take(found_copies)


def end(ledger: Ledger) -> Rebuilt | None:
    RecoveryDecisions(ledger, ROUTES, prefix="incoming/").decide()
    return ledger.rebuild.end()


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_name_makes_an_object_delivered_however_it_is_heard_of(
    ledger: Ledger, order: tuple[int, ...]
) -> None:
    heard = [listed(), receipt("anna@example.com"), twin()]
    assert begin(ledger, trace()) == 1
    for number in order:
        record = ledger.arrivals.record_twins if number == 2 else ledger.arrivals.record
        record([heard[number]])
    end(ledger)
    for task in ledger.work.due(1e12, 10, ()):  # a receipt may want to look: at what is there
        assert [copy.mailbox for copy in task.deliveries] == ["anna"]
    assert ledger.repair.find(KEY).mailboxes == ("anna",)


def test_what_has_no_name_is_held_until_the_end(ledger: Ledger) -> None:
    begin(ledger, trace(NEW))
    ledger.arrivals.record([listed(OLD), listed(NEW), listed(NEWER)])
    ledger.arrivals.record([receipt("anna@example.com", key=OLD)])
    ledger.work.make_all_due()
    ledger.work.retry_now()
    assert due(ledger) == []
    assert ledger.rebuild.pending
    assert end(ledger) == Rebuilt(absent=1, waiting=1)
    assert due(ledger) == [NEWER]
    assert [state(ledger, key) for key in (OLD, NEW)] == ["absent", "delivered"]
    assert end(ledger) is None
    assert not ledger.rebuild.pending


def test_the_horizon_is_the_newest_name_that_is_an_objects(ledger: Ledger) -> None:
    begin(ledger, trace(NEWER), trace(OLD))
    ledger.arrivals.record([listed(OLD), listed(NEW)])
    assert end(ledger) == Rebuilt(absent=0, waiting=1)
    assert ledger.rebuild.unmatched() == 1


def test_without_a_time_nothing_is_absent(ledger: Ledger) -> None:
    begin(ledger, trace(NEW))
    ledger.arrivals.record([listed(NEW), receipt("anna@example.com", key=OLD)])
    assert end(ledger) == Rebuilt(absent=0, waiting=1)


def test_archived_objects_are_absent_too(ledger: Ledger) -> None:
    begin(ledger, trace(NEW))
    ledger.arrivals.record(
        [
            listed(NEW),
            listed(OLD, storage_class="GLACIER"),
            listed(NEWER, storage_class="GLACIER"),
        ]
    )
    assert end(ledger) == Rebuilt(absent=1, waiting=0)
    assert [state(ledger, key) for key in (OLD, NEWER)] == ["absent", "archived"]


def test_a_draft_alone_is_no_delivery(ledger: Ledger) -> None:
    begin(ledger, trace(NEW), trace(OLD, draft=True))
    ledger.arrivals.record([listed(OLD), listed(NEW)])
    assert due(ledger) == []
    end(ledger)
    assert due(ledger) == [OLD]
    task = take(ledger, OLD)
    assert not task.is_absent_for("anna", TIMES[OLD]), "it was never finished"


def test_a_draft_beside_a_copy_leaves_the_rest_to_be_done(ledger: Ledger) -> None:
    begin(ledger, trace(), trace(mailbox="bruno", draft=True))
    ledger.arrivals.record([listed(KEY, ANNA, BRUNO)])
    end(ledger)
    copies = {copy.mailbox: copy.state for copy in take(ledger).deliveries}
    assert copies == {"anna": DeliveryState.DELIVERED, "bruno": DeliveryState.WAITING}


def test_another_content_is_compared_by_its_hash(ledger: Ledger) -> None:
    begin(ledger, trace(), trace(NEW))
    ledger.arrivals.record([listed(etag="e2"), listed(NEW)])
    assert due(ledger) == []
    RecoveryDecisions(ledger, ROUTES, prefix="incoming/").decide()
    (unhashed,) = ledger.rebuild.unhashed()
    ledger.rebuild.note_hash(unhashed, "c1")
    assert end(ledger) == Rebuilt(absent=0, waiting=1)  # it is at home, if an older one
    assert take(ledger).deliveries[0].sha256 == "c1"


@pytest.mark.parametrize("etag", ["e1", "e2"])
def test_an_etag_that_comes_after_a_receipt_is_compared(ledger: Ledger, etag: str) -> None:
    begin(ledger, trace())
    ledger.arrivals.record([receipt("anna@example.com")])
    assert due(ledger) == []
    ledger.arrivals.record([listed(etag=etag)])
    end(ledger)
    assert due(ledger) == ([KEY] if etag == "e2" else [])


def test_every_copy_counts_for_the_latest_edition(ledger: Ledger) -> None:
    begin(ledger, trace(edition=2), trace(mailbox="bruno"))
    ledger.arrivals.record([listed(etag="e2")])
    end(ledger)
    task = take(ledger)
    assert task.edition == 2
    assert {copy.edition for copy in task.deliveries} == {2}


@pytest.mark.parametrize("at", [s for s in ObjectState if s is not ObjectState.SKIPPED])
def test_names_complete_a_ledger_that_knows_the_object(ledger: Ledger, at: ObjectState) -> None:
    ledger.arrivals.record([receipt(ANNA)])
    bring_to(ledger, at)
    begin(ledger, trace())
    end(ledger)
    if at is ObjectState.WAITING:  # it may be owed to someone else as well
        assert [copy.mailbox for copy in take(ledger).deliveries] == ["anna"]
    else:
        assert state(ledger) is ObjectState.DELIVERED
    assert ledger.repair.find(KEY).mailboxes == ("anna",)


def test_taking_in_is_idempotent(ledger: Ledger) -> None:
    names = (trace(OLD), trace(NEW), trace(NEW, mailbox="bruno"))
    assert begin(ledger, *names) == 3
    assert ledger.rebuild.take(names) == 0
    ledger.arrivals.record([listed(OLD), listed(NEW)])
    assert ledger.rebuild.take(names) == 0
    assert ledger.rebuild.knows_all([(t.mail, t.stem) for t in names])


def test_a_copy_in_a_mailbox_that_it_was_not_delivered_to_is_known(ledger: Ledger) -> None:
    """Its owner copied it there; its name went along."""
    begin(ledger, trace())
    ledger.arrivals.record([listed()])
    end(ledger)
    there = trace(mailbox="bruno")
    assert ledger.rebuild.knows_all([(there.mail, there.stem)])
    assert not ledger.rebuild.knows_all([(there.mail, "another")])


def test_mails_are_counted_by_their_days(ledger: Ledger) -> None:
    begin(ledger, trace(OLD), trace(NEW))
    ledger.arrivals.record([listed(OLD), listed(NEW)])
    end(ledger)
    with ledger.store.reading() as db:
        assert [row["mails"] for row in db.execute("SELECT mails FROM days")] == [2]


def test_adopting_wins_where_there_is_no_name(ledger: Ledger) -> None:
    begin(ledger, trace(NEW))
    ledger.arrivals.record([listed(OLD), listed(NEW)], adopt=True)
    end(ledger)
    assert [state(ledger, key) for key in (OLD, NEW)] == ["adopted", "delivered"]
