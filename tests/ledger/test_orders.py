"""Whatever is said of a mail, in any order and any number of times: nothing is forgotten."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.mail.arrival import Arrival, Verdicts
from tests.doubles.ledger import (
    KEY,
    copy,
    deliver,
    due,
    event,
    listing,
    receipt,
    row,
    state,
    take,
)
from tests.support.campaign import examples
from tests.support.new_ledger import new_ledger

SAID = (
    receipt("a@example.com", spam="PASS"),
    receipt("b@example.com", virus="PASS"),
    event("e1"),
    listing("e1"),
)


@contextmanager
def fresh() -> Iterator[tuple[Ledger, Path]]:
    """Hypothesis runs many examples in one test: a ledger for each."""
    with tempfile.TemporaryDirectory() as directory:
        ledger = new_ledger(Path(directory))
        try:
            yield ledger, Path(directory)
        finally:
            ledger.close()


def facts(ledger: Ledger) -> tuple[object, ...]:
    task = take(ledger)
    return (task.etag, task.size, task.last_modified, task.recipients, task.verdicts)


@pytest.mark.parametrize("order", list(itertools.permutations(SAID)))
@pytest.mark.parametrize("times", [1, 2])
def test_every_order_ends_in_the_same_row(
    ledger: Ledger, order: tuple[Arrival, ...], times: int
) -> None:
    for said in order * times:
        ledger.arrivals.record([said])
    both = ("a@example.com", "b@example.com")
    assert facts(ledger) == ("e1", 100, 1000.0, both, Verdicts(spam="PASS", virus="PASS"))
    assert ledger.overview.states()[ObjectState.WAITING] == 1


@pytest.mark.slow
@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.sampled_from(SAID), min_size=1, max_size=10), st.data())
def test_facts_do_not_depend_on_order_repetition_or_grouping(
    said: Sequence[Arrival], data: st.DataObject
) -> None:
    other = data.draw(st.permutations([*said, *data.draw(st.lists(st.sampled_from(said)))]))
    with fresh() as (one_by_one, _), fresh() as (at_once, _):
        for arrival in said:
            one_by_one.arrivals.record([arrival])
        at_once.arrivals.record(other)
        assert facts(one_by_one) == facts(at_once)


NEWS = (*SAID, event("e2"), listing("e2"))


@pytest.mark.slow
@settings(max_examples=examples(80), deadline=None)
@given(st.lists(st.sampled_from(NEWS), min_size=1, max_size=8), st.integers(0, 8))
def test_the_revision_moves_whenever_more_must_be_delivered(
    said: Sequence[Arrival], delivered_after: int
) -> None:
    recipients: set[str] = set()
    etags: list[str] = []
    with fresh() as (ledger, path):
        for number, arrival in enumerate(said):
            before = row(path)["revision"] if number else -1
            ledger.arrivals.record([arrival])
            named = set(arrival.envelope.recipients) if arrival.envelope else set()
            more = not named <= recipients
            other = bool(etags) and arrival.etag not in {None, etags[-1]}
            recipients |= named
            etags += [arrival.etag] if arrival.etag else []
            moved = row(path)["revision"] > before
            assert moved >= (more or other)
            if number > delivered_after:  # it had been delivered: nothing else opens it again
                assert moved == (more or other)
                assert (state(ledger) is ObjectState.WAITING) == (more or other)
            if number >= delivered_after:
                if due(ledger):
                    deliver(
                        ledger, take(ledger), copy(stem=f"s{number}"), etag=(etags or ["e1"])[-1]
                    )
                    etags = etags or ["e1"]
                assert state(ledger) is ObjectState.DELIVERED
        ledger.repair.redeliver(KEY)
        assert set(take(ledger).recipients) == recipients
