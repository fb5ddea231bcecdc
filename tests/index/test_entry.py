"""Entries of the index: whatever the order of the notices, the same comes out."""

from __future__ import annotations

import functools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.index.entry import (
    Acceptance,
    Basis,
    Header,
    IndexEntry,
    KnownFacts,
    Stored,
    entries,
    merge,
    with_header,
)
from postamt_sync.index.entry_item import from_item, to_item
from postamt_sync.index.item import ENVELOPE_ATTRIBUTES, envelope
from postamt_sync.index.list_facts import ListFacts
from postamt_sync.index.summary import Summary, summary_of_head
from postamt_sync.mail.arrival import Envelope, Source, Verdicts
from postamt_sync.mail.headers import SesHeaders, ses_headers
from postamt_sync.mail.notification import read_notification
from tests.doubles.notices import AT, ETAG, EVENT_AT, MESSAGE_ID, PREFIX, event, receipt, stored

words = st.none() | st.text(max_size=3)
verdicts = st.builds(Verdicts, *[st.sampled_from([None, "PASS", "FAIL"])] * 5)
acceptances = st.builds(
    Acceptance, st.sampled_from(Basis), st.sampled_from(["", AT, EVENT_AT]), words, verdicts
)
headers = st.builds(Header, st.sampled_from(Basis), st.builds(Summary, words, words, words))
objects = st.builds(
    Stored, words, st.none() | st.integers(0, 9), st.sampled_from(["", "0f", "1", "01", "ff"])
)
facts = st.builds(
    KnownFacts,
    st.sampled_from(Basis),
    st.builds(ListFacts, st.sampled_from(["", "a@b"]), st.just(()), st.booleans()),
)
plain_entry = st.builds(
    IndexEntry,
    st.just("id"),
    st.just("incoming/id"),
    st.frozensets(st.text(min_size=1, max_size=2), max_size=3),
    st.none() | acceptances,
    st.none() | headers,
    st.none() | objects,
    st.none() | facts,
)
any_entry = plain_entry | plain_entry.map(lambda entry: merge(entry, replace(entry, sealed=True)))


def entry_of(message: str) -> IndexEntry:
    (entry,) = entries(read_notification(message, Source.INDEX), PREFIX)
    return entry


def changed(message: str, *path: str, to: Any) -> str:
    body = json.loads(message)
    inner = body["Records"][0] if "Records" in body else body
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return json.dumps(body)


@pytest.mark.slow
@given(any_entry, any_entry, any_entry)
def test_merging_does_not_care_about_order_grouping_and_repetition(
    a: IndexEntry, b: IndexEntry, c: IndexEntry
) -> None:
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a
    assert merge(merge(a, b), b) == merge(a, b)


@pytest.mark.slow
@given(any_entry)
def test_an_item_brings_back_its_entry(entry: IndexEntry) -> None:
    assert from_item(to_item(entry)) == entry
    assert to_item(from_item(to_item(entry))) == to_item(entry)


@given(any_entry, any_entry)
def test_the_digest_tells_items_apart(a: IndexEntry, b: IndexEntry) -> None:
    assert (to_item(a)["digest"] == to_item(b)["digest"]) == (a == b)


@given(plain_entry, st.permutations([0, 1, 2]))
def test_of_a_sealed_mail_nothing_that_others_wrote_stays_or_comes_back(
    told: IndexEntry, order: list[int]
) -> None:
    sealed = IndexEntry("id", "incoming/id", sealed=True)
    late = replace(entry_of(receipt()), message_id="id", key="incoming/id")
    first, second, third = ([told, sealed, late][each] for each in order)
    merged = merge(merge(first, second), third)
    assert merged.sealed
    assert merged.recipients >= late.recipients, "ours, which envelopes need"
    item = to_item(merged)
    assert item["sealed"] == {"S": "yes"}
    assert not item.keys() & {
        *("from", "to", "cc", "subject", "date", "sender", "own_id", "references")
    }
    assert from_item(item) == merged


def test_what_a_receipt_tells() -> None:
    entry = entry_of(receipt())
    assert (entry.message_id, entry.key) == (MESSAGE_ID, PREFIX + MESSAGE_ID)
    assert entry.recipients == {"anna@home.example", "bruno@home.example"}
    assert entry.acceptance == Acceptance(
        Basis.RECEIPT,
        AT,
        "bounce+abc@sender.example",
        Verdicts("PASS", "PASS", "GRAY", "PASS", "FAIL", "quarantine"),
    )
    assert entry.header == Header(Basis.RECEIPT, summary_of_head(stored()))
    assert entry.stored is None


def test_what_an_event_tells() -> None:
    entry = entry_of(event("incoming/with+a+space%2Band+%C3%BC"))
    assert (entry.message_id, entry.key) == ("with a space+and ü", "incoming/with a space+and ü")
    assert entry.stored == Stored(ETAG, 1234, "0055aed6dcd90281e5")
    assert entry.acceptance == Acceptance(Basis.EVENT, EVENT_AT)
    assert entry.header is None


def test_the_object_knows_better_than_the_event_when_it_was_received() -> None:
    head = stored()
    entry = with_header(
        entry_of(event()), summary_of_head(head), ses_headers(head, PREFIX + MESSAGE_ID)
    )
    assert entry.acceptance is not None
    assert entry.acceptance.received_at == "2026-11-02T10:11:12.000Z"
    assert entry.acceptance.verdicts.spf == "GRAY"
    assert entry.header == Header(Basis.OBJECT, summary_of_head(head))


@pytest.mark.parametrize(
    "ses", [None, SesHeaders(None, None, Verdicts()), SesHeaders(None, 1e15, Verdicts())]
)
def test_without_a_time_of_ses_the_event_s_remains(ses: SesHeaders | None) -> None:
    entry = with_header(entry_of(event()), Summary(), ses)
    assert entry.acceptance == Acceptance(Basis.EVENT, EVENT_AT)
    assert entry.header == Header(Basis.OBJECT, Summary())


def test_a_receipt_outweighs_the_object_unless_its_header_was_cut() -> None:
    read = with_header(entry_of(event()), Summary(subject="read"), None)
    whole, cut = entry_of(receipt()), entry_of(receipt(cut=True))
    assert merge(read, whole).header == whole.header
    assert merge(read, cut).header == read.header
    assert merge(read, cut).acceptance == cut.acceptance


def test_two_rules_recipients_are_put_together() -> None:
    both = merge(
        entry_of(receipt(recipients=("anna@home.example",))),
        entry_of(receipt(recipients=("bruno@home.example",))),
    )
    assert envelope(to_item(both)) == Envelope(
        ("anna@home.example", "bruno@home.example"),
        "bounce+abc@sender.example",
        Verdicts("PASS", "PASS", "GRAY", "PASS", "FAIL", "quarantine"),
    )


def test_the_last_of_two_writes_of_one_key_counts() -> None:
    """Sequencers are numbers: of unequal length, they would sort wrongly as text."""
    older = entry_of(event(etag="old", sequencer="FF"))
    newer = entry_of(event(etag="new", sequencer="0100"))
    stored = merge(newer, older).stored
    assert stored is not None
    assert stored.etag == "new"


@pytest.mark.parametrize("sequencer", [None, 7, "", "xyz", "f" * 65, "+1", "1_0"])
def test_a_sequencer_that_is_none_counts_as_the_oldest(sequencer: object) -> None:
    entry = entry_of(changed(event(), "s3", "object", "sequencer", to=sequencer))
    assert entry.stored == Stored(ETAG, 1234, "")


@pytest.mark.parametrize("time", [None, 7, "", "yesterday", "2026-11-02T10:11:12", "9" * 5000])
def test_a_time_that_is_none_leaves_the_item_out_of_the_months(time: object) -> None:
    for message in (
        changed(event(), "eventTime", to=time),
        changed(changed(receipt(), "mail", "timestamp", to=time), "receipt", "timestamp", to=time),
    ):
        item = to_item(entry_of(message))
        assert "month" not in item
        assert "received_at" not in item
        assert item["key"] == {"S": PREFIX + MESSAGE_ID}


def test_times_are_utc_with_milliseconds_whatever_the_notice_wrote() -> None:
    item = to_item(entry_of(changed(event(), "eventTime", to="2026-12-01T00:30:00+01:00")))
    assert item["received_at"] == {"S": "2026-11-30T23:30:00.000Z"}
    assert item["month"] == {"S": "2026-11"}


def test_an_item_without_a_receipt_has_no_envelope() -> None:
    read = with_header(entry_of(event()), Summary(), ses_headers(stored(), PREFIX + MESSAGE_ID))
    assert envelope(to_item(read)) is None
    assert envelope(to_item(entry_of(receipt(recipients=("",))))) is None


def test_the_envelope_needs_no_more_than_the_attributes_that_are_asked_for() -> None:
    item = to_item(entry_of(receipt()))
    asked = {name: value for name, value in item.items() if name in ENVELOPE_ATTRIBUTES}
    assert envelope(asked) == envelope(item)
    assert set(asked) <= set(ENVELOPE_ATTRIBUTES) < set(item) | {"dmarc_policy"}


@given(st.permutations([receipt(), receipt(cut=True), event(), event(), receipt()]))
def test_notices_in_any_order_make_the_same_item(messages: list[str]) -> None:
    merged = functools.reduce(merge, map(entry_of, messages))
    assert to_item(merged) == to_item(merge(entry_of(receipt()), entry_of(event())))
