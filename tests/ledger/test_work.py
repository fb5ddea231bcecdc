"""Steps of the courier: each ends under the revision that it began with, or leaves the mail due."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from postamt_sync.ledger import DeliveryState, Ledger, ObjectState, Task
from postamt_sync.mail.arrival import Arrival
from tests.doubles.ledger import (
    KEY,
    LATER,
    copies,
    copy,
    deliver,
    due,
    event,
    failing,
    listing,
    prepared,
    receipt,
    row,
    state,
    take,
    twin,
)

Ending = Callable[[Ledger, Task], None]

ENDINGS: dict[str, Ending] = {
    "settle": lambda ledger, task: deliver(ledger, task, copy()),
    "settle_known": lambda ledger, task: ledger.work.settle_known(task, "e1", 100, 1000.0),
    "gone": lambda ledger, task: ledger.work.end(task, ObjectState.GONE),
    "archived": lambda ledger, task: ledger.work.end(task, ObjectState.ARCHIVED),
    "quarantined": lambda ledger, task: ledger.work.end(task, ObjectState.QUARANTINED, "why"),
    "skipped": lambda ledger, task: ledger.work.end(task, ObjectState.SKIPPED),
    "postpone": lambda ledger, task: ledger.work.postpone(task, "network", LATER),
    "await_envelope": lambda ledger, task: ledger.work.await_envelope(task, LATER),
}
NEWS: dict[str, Callable[[Ledger], object]] = {
    "another recipient": lambda ledger: ledger.arrivals.record([receipt("b@example.com")]),
    "a new ETag": lambda ledger: ledger.arrivals.record([event("e2")]),
    "a new twin": lambda ledger: ledger.arrivals.record_twins([twin("e2")]),
    "redeliver": lambda ledger: ledger.repair.redeliver(KEY),
}


def begun(ledger: Ledger) -> Task:
    """A task of which the whole envelope is known, as far as it goes."""
    ledger.arrivals.record([listing(), receipt("a@example.com")])
    return take(ledger)


@pytest.mark.parametrize("ending", ENDINGS)
def test_without_news_an_ending_ends(ledger: Ledger, ending: str) -> None:
    ENDINGS[ending](ledger, begun(ledger))
    assert due(ledger, LATER - 1) == []


@pytest.mark.parametrize("news", NEWS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_what_was_heard_during_a_step_leaves_the_mail_due(
    ledger: Ledger, ending: str, news: str
) -> None:
    task = begun(ledger)
    NEWS[news](ledger)
    ENDINGS[ending](ledger, task)
    assert due(ledger, 0.0) == [KEY]
    assert take(ledger).revision > task.revision


@pytest.mark.parametrize("news", NEWS)
def test_a_copy_finished_after_a_crash_does_not_close_what_has_more_to_do(
    ledger: Ledger, news: str
) -> None:
    task = begun(ledger)
    ledger.work.prepare([prepared(task, copy())])
    NEWS[news](ledger)
    after_the_crash = take(ledger)
    ledger.work.settle([(after_the_crash, [copy()])])
    assert due(ledger, 0.0) == [KEY]


def test_a_copy_finished_after_a_crash_closes_what_has_nothing_more_to_do(ledger: Ledger) -> None:
    ledger.work.prepare([prepared(begun(ledger), copy())])
    ledger.work.settle([(take(ledger), [copy()])])
    assert state(ledger) is ObjectState.DELIVERED


def test_an_etag_heard_while_another_was_read_leaves_the_mail_due(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.arrivals.record([receipt("a@example.com")])
    task = take(ledger)
    ledger.arrivals.record([event("e2")])
    deliver(ledger, task, copy(), etag="e1")
    assert due(ledger, 0.0) == [KEY]
    assert row(tmp_path)["etag"] == "e2"


def test_an_etag_heard_while_known_content_was_read_leaves_the_mail_due(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.arrivals.record([receipt("a@example.com")])
    task = take(ledger)
    ledger.arrivals.record([event("e2")])
    ledger.work.settle_known(task, "e1", 100, 1000.0)
    assert due(ledger, 0.0) == [KEY]
    assert row(tmp_path)["etag"] == "e2"


def test_the_etag_that_was_read_may_be_heard_meanwhile(ledger: Ledger) -> None:
    ledger.arrivals.record([receipt("a@example.com")])
    task = take(ledger)
    ledger.arrivals.record([event("e1"), listing("e1")])
    deliver(ledger, task, copy(), etag="e1")
    assert state(ledger) is ObjectState.DELIVERED


def test_a_stale_prepare_does_not_bring_an_old_etag_back(ledger: Ledger, tmp_path: Path) -> None:
    task = begun(ledger)
    ledger.arrivals.record([event("e2")])
    deliver(ledger, task, copy(), etag="e1")
    assert row(tmp_path)["etag"] == "e2"


def test_prepare_notes_what_the_get_showed(ledger: Ledger, tmp_path: Path) -> None:
    ledger.arrivals.record([receipt("a@example.com")])
    ledger.work.prepare([prepared(take(ledger), copy(), etag="e7")])
    found = row(tmp_path)
    assert (found["etag"], found["size"], found["last_modified"]) == ("e7", 100, 1000.0)
    assert found["evidence"] == "receipt"
    (kept,) = take(ledger).deliveries
    assert kept.state is DeliveryState.PREPARED
    assert (kept.mailbox, kept.stem, kept.name, kept.sha256) == ("anna", "s1", "s1,S=1", "c1")
    assert (kept.maildir, kept.folder) == ("/mail/anna", "")
    assert kept.prepared_at is not None


def test_an_object_is_open_until_its_last_copy_is_settled(ledger: Ledger) -> None:
    task = begun(ledger)
    ledger.work.prepare([prepared(task, copy("anna"), copy("bert"))])
    ledger.work.settle([(task, [copy("bert")])])
    assert state(ledger) is ObjectState.WAITING
    ledger.work.settle([(task, [copy("anna")])])
    assert state(ledger) is ObjectState.DELIVERED


def test_a_mailbox_that_failed_keeps_the_object_open(ledger: Ledger) -> None:
    task = begun(ledger)
    ledger.work.prepare([prepared(task, copy("anna"), failed=(failing("bert"),))])
    ledger.work.settle([(task, [copy("anna")])])
    assert state(ledger) is ObjectState.WAITING
    (health,) = ledger.overview.mailboxes(["bert"])[:1]
    assert (health.waiting, health.problem) == (1, "its disk is not mounted")


def test_waiting_copies_of_an_older_content_disappear_and_prepared_ones_stay(
    ledger: Ledger, tmp_path: Path
) -> None:
    task = begun(ledger)
    ledger.work.prepare([prepared(task, copy("anna"), failed=(failing("bert"),))])
    ledger.arrivals.record([event("e2")])
    again = take(ledger)
    ledger.work.prepare([prepared(again, copy("bert", "s2", "c2"), etag="e2")])
    left = {(c["mailbox"], c["stem"], c["state"]) for c in copies(tmp_path, task.mail)}
    assert left == {("anna", "s1", "prepared"), ("bert", "s2", "prepared")}
    ledger.work.settle([(again, [copy("bert", "s2", "c2")])])
    assert state(ledger) is ObjectState.WAITING


def test_known_content_drops_what_waited_and_closes(ledger: Ledger, tmp_path: Path) -> None:
    task = begun(ledger)
    ledger.work.postpone(task, "no disk", 5.0, [("anna", "no disk")])
    ledger.work.settle_known(take(ledger), "e1", 100, 1000.0)
    assert state(ledger) is ObjectState.DELIVERED
    assert copies(tmp_path, task.mail) == []


def test_a_lost_prepared_copy_is_not_closed_by_its_sibling(ledger: Ledger) -> None:
    task = begun(ledger)
    ledger.work.prepare([prepared(task, copy("anna"), copy("bert"))])
    ledger.work.start_anew(task, copy("anna"))
    ledger.work.settle([(task, [copy("bert")])])
    assert due(ledger, 0.0) == [KEY]
    held = {c.mailbox: c.state for c in take(ledger).deliveries}
    assert held == {"anna": DeliveryState.WAITING, "bert": DeliveryState.DELIVERED}


def test_only_a_prepared_copy_can_be_lost(ledger: Ledger, tmp_path: Path) -> None:
    task = begun(ledger)
    deliver(ledger, task, copy("anna"))
    ledger.work.start_anew(task, copy("anna"))
    assert ("s1", "delivered") in {
        (c["stem"], c["state"]) for c in copies(tmp_path, task.mail) if c["mailbox"] == "anna"
    }


def test_a_copy_that_could_not_be_finished_is_closed_once_it_is(ledger: Ledger) -> None:
    task = begun(ledger)
    ledger.work.prepare([prepared(task, copy("anna"))])
    ledger.work.postpone(task, "no disk", 5.0, [("anna", "no disk")])
    ledger.work.settle([(take(ledger), [copy("anna")])])
    assert state(ledger) is ObjectState.DELIVERED


def test_a_mail_that_changed_is_looked_at_again_at_once(ledger: Ledger, tmp_path: Path) -> None:
    task = begun(ledger)
    ledger.work.postpone(task, "network", LATER)
    ledger.work.look_again(task)
    assert due(ledger, 0.0) == [KEY]
    assert row(tmp_path)["etag"] is None


def test_looking_again_does_not_touch_what_is_closed(ledger: Ledger, tmp_path: Path) -> None:
    task = begun(ledger)
    deliver(ledger, task, copy())
    ledger.work.look_again(task)
    assert due(ledger) == []
    assert row(tmp_path)["etag"] == "e1"


@pytest.mark.parametrize("said", [receipt("a@example.com"), event(), listing(), twin()])
def test_what_was_said_before_does_not_open_it_again(ledger: Ledger, said: Arrival) -> None:
    deliver(ledger, begun(ledger), copy())
    record = ledger.arrivals.record_twins if said == twin() else ledger.arrivals.record
    record([said, said])
    assert due(ledger) == []


def test_a_root_is_remembered_for_good(ledger: Ledger, tmp_path: Path) -> None:
    assert not ledger.work.knows_maildir(tmp_path / "anna")
    ledger.work.roots.remember(tmp_path / "anna", "anna")
    ledger.work.roots.remember(tmp_path / "anna", "bert")
    assert ledger.work.knows_maildir(tmp_path / "anna")
    assert not ledger.work.knows_maildir(tmp_path)
