"""The balance of a pass: every listed mail is counted, and counted once."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.ledger.sync_runs import SyncTotals
from tests.doubles.ledger import BUCKET, bring_to, copy, deliver, event, listing, take
from tests.support.campaign import examples
from tests.support.new_ledger import new_ledger

AFTER = {
    ObjectState.DELIVERED: "delivered",
    ObjectState.ARCHIVED: "archived",
    ObjectState.GONE: "gone",
    ObjectState.QUARANTINED: "quarantined",
    ObjectState.SKIPPED: "skipped",
    ObjectState.ADOPTED: "known",
    ObjectState.ABSENT: "known",
}
ENDINGS = [*AFTER, "failed", "waiting", "untouched"]


def end(ledger: Ledger, key: str, ending: str) -> None:
    """Bring an object that is due to this end of the pass."""
    task = take(ledger, key)
    match ending:
        case "failed":
            ledger.work.postpone(task, "network", 0.0)
        case "waiting":
            ledger.work.await_envelope(task, 0.0)
        case "untouched":
            pass
        case ObjectState.DELIVERED:
            deliver(ledger, task, copy())
        case _:
            ledger.work.end(task, ObjectState(ending))


def total(totals: SyncTotals) -> int:
    counted = asdict(totals)
    del counted["listed"]
    assert min(counted.values()) >= 0
    return sum(counted.values())


@pytest.mark.parametrize("before", ObjectState)
def test_what_is_settled_before_the_pass_is_known(ledger: Ledger, before: ObjectState) -> None:
    bring_to(ledger, before, "a")
    ledger.sync_runs.begin()
    opened = ledger.sync_runs.add(BUCKET, ["a"])
    expected = {
        ObjectState.WAITING: SyncTotals(listed=1, failed=1),
        ObjectState.ARCHIVED: SyncTotals(listed=1, archived=1),
        ObjectState.SEALED: SyncTotals(listed=1, sealed=1),
        ObjectState.SKIPPED: SyncTotals(listed=1, skipped=1),
    }.get(before, SyncTotals(listed=1, known=1))
    assert ledger.sync_runs.totals(1) == expected
    assert opened == 1 - expected.known


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_became_of_a_mail_is_counted(ledger: Ledger, ending: str) -> None:
    ledger.arrivals.record([event(key="a")])
    ledger.sync_runs.begin()
    assert ledger.sync_runs.add(BUCKET, ["a"]) == 1
    end(ledger, "a", ending)
    column = {**AFTER, "untouched": "failed"}.get(ending, ending)  # type: ignore[dict-item, call-overload]
    assert asdict(ledger.sync_runs.totals(1))[column] == 1


def test_a_failure_after_a_vain_wait_for_an_envelope_is_a_failure(ledger: Ledger) -> None:
    ledger.arrivals.record([event(key="a")])
    ledger.sync_runs.begin()
    ledger.sync_runs.add(BUCKET, ["a"])
    end(ledger, "a", "waiting")
    end(ledger, "a", "failed")
    assert ledger.sync_runs.totals(1) == SyncTotals(listed=1, failed=1)


def test_a_mail_is_counted_once_however_many_copies_it_has(ledger: Ledger) -> None:
    ledger.arrivals.record([event(key="a")])
    ledger.sync_runs.begin()
    ledger.sync_runs.add(BUCKET, ["a"])
    ledger.sync_runs.add(BUCKET, ["a"])
    deliver(ledger, take(ledger, "a"), copy("anna"), copy("bert"))
    assert ledger.sync_runs.totals(1) == SyncTotals(listed=1, delivered=1)


def test_what_was_not_listed_is_not_counted(ledger: Ledger) -> None:
    ledger.arrivals.record([event(key=key) for key in "abc"])
    ledger.sync_runs.begin()
    assert ledger.sync_runs.add(BUCKET, []) == 0
    assert ledger.sync_runs.add(BUCKET, ["a", "c"]) == 2
    assert ledger.sync_runs.add("another", ["a", "c"]) == 0
    end(ledger, "b", "failed")
    assert ledger.sync_runs.totals(2).listed == total(ledger.sync_runs.totals(2)) == 2


def test_a_pass_leaves_nothing_to_the_next(ledger: Ledger) -> None:
    ledger.arrivals.record([event(key="a")])
    ledger.sync_runs.begin()
    ledger.sync_runs.add(BUCKET, ["a"])
    ledger.sync_runs.begin()
    assert ledger.sync_runs.totals(0) == SyncTotals()


@pytest.mark.slow
@settings(max_examples=examples(40), deadline=None)
@given(
    objects=st.lists(
        st.tuples(st.sampled_from([None, *ObjectState]), st.sampled_from(ENDINGS)), max_size=12
    ),
    page=st.integers(1, 5),
)
def test_the_sum_is_always_right(objects: list[tuple[ObjectState | None, str]], page: int) -> None:
    keys = [f"{number:02}" for number in range(len(objects))]
    with tempfile.TemporaryDirectory() as directory:
        ledger = new_ledger(Path(directory))
        try:
            for key, (before, _) in zip(keys, objects, strict=True):
                if before is not None:
                    bring_to(ledger, before, key)
            ledger.arrivals.record([listing(key=f"{key}-unlisted") for key in keys])
            ledger.sync_runs.begin()
            opened = 0
            for start in range(0, len(keys), page):
                listed = keys[start : start + page]
                ledger.arrivals.record([listing(key=key) for key in listed])
                opened += ledger.sync_runs.add(BUCKET, listed)
            due = {task.key for task in ledger.work.due(1e12, 100, ())}
            for key, (_, ending) in zip(keys, objects, strict=True):
                if key in due:
                    end(ledger, key, ending)
            totals = ledger.sync_runs.totals(len(keys))
            assert totals.listed == total(totals) == len(keys)
            assert totals.known >= len(keys) - opened
        finally:
            ledger.close()
