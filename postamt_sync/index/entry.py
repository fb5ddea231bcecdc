"""An entry of the index: what the notifications of a mail say of it, put together.

Notifications come in any order, any number of times, and know different things: only SES's
receipt knows the envelope, only S3's event the object, both (or the object itself) the header.
So an entry is a set of facts in which the better replaces the worse, and `merge` does not care
which came first: it is commutative, associative and idempotent.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from postamt_sync.index.list_facts import ListFacts, facts_of_receipt
from postamt_sync.index.notice_values import beginning, iso, moment, sequencer
from postamt_sync.index.summary import Summary, summary_of_receipt
from postamt_sync.mail.arrival import Arrival, Verdicts
from postamt_sync.mail.headers import SesHeaders, ses_headers
from postamt_sync.mail.notification import Notification, NotificationKind
from postamt_sync.mail.routing import merge_verdicts


class Basis(enum.StrEnum):
    """Where a fact comes from, worst first."""

    EVENT = "event"
    """The S3 event alone."""
    CUT_RECEIPT = "cut-receipt"
    """A receipt whose header SES cut off at 10 KB (`headersTruncated`)."""
    OBJECT = "object"
    """The stored mail itself, read by us."""
    RECEIPT = "receipt"
    """SES's receipt."""


_RANK = {basis: rank for rank, basis in enumerate(Basis)}


@dataclass(frozen=True, slots=True)
class Acceptance:
    """SES taking in the mail. `received_at` is ISO 8601 in UTC with milliseconds; it sorts.

    `sender` is MAIL FROM, None for the null reverse path and where it is not known.
    """

    basis: Basis
    received_at: str
    sender: str | None = None
    verdicts: Verdicts = field(default_factory=Verdicts)

    @property
    def weight(self) -> tuple[object, ...]:
        return _RANK[self.basis], self.received_at, repr(self.verdicts), repr(self.sender)


@dataclass(frozen=True, slots=True)
class Header:
    """The mail's header as far as it is kept."""

    basis: Basis
    summary: Summary

    @property
    def weight(self) -> tuple[object, ...]:
        return _RANK[self.basis], repr(self)


@dataclass(frozen=True, slots=True)
class KnownFacts:
    """What a list needs of the mail besides its summary."""

    basis: Basis
    facts: ListFacts

    @property
    def weight(self) -> tuple[object, ...]:
        return _RANK[self.basis], self.facts.attachment, repr(self)


@dataclass(frozen=True, slots=True)
class ReceivedFor:
    """Whom SES's own Received names; "": nobody, though someone looked."""

    basis: Basis
    recipient: str

    @property
    def weight(self) -> tuple[object, ...]:
        return _RANK[self.basis], self.recipient


@dataclass(frozen=True, slots=True)
class Stored:
    """The object. `sequencer` orders the events of one key (S3 user guide, "Event message
    structure"): hexadecimal, "" where S3 sent none.
    """

    etag: str | None
    size: int | None
    sequencer: str = ""

    @property
    def weight(self) -> tuple[object, ...]:
        return int(self.sequencer or "0", 16), repr(self)


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """All that is known of one mail; `message_id` is its key below the prefix.

    `recipients` are those of all receipts together: two rules may name different ones. Once a mail
    is `sealed`, nothing that others wrote of it is in its entry, whatever comes later.
    """

    message_id: str
    key: str
    recipients: frozenset[str] = frozenset()
    acceptance: Acceptance | None = None
    header: Header | None = None
    stored: Stored | None = None
    listed: KnownFacts | None = None
    received_for: ReceivedFor | None = None
    sealed: bool = False

    @property
    def received_at(self) -> str:
        """When SES received the mail, as far as is known, else ""."""
        return self.acceptance.received_at if self.acceptance else ""


class _Weighed(Protocol):
    @property
    def weight(self) -> Any: ...


_Fact = TypeVar("_Fact", bound=_Weighed)


def merge(one: IndexEntry, other: IndexEntry) -> IndexEntry:
    """Put together what two entries of the same mail know."""
    header = _better(one.header, other.header)
    merged = IndexEntry(
        one.message_id,
        one.key,
        one.recipients | other.recipients,
        _better(one.acceptance, other.acceptance),
        header,
        _better(one.stored, other.stored),
        _better(one.listed, other.listed),
        _counting(_better(one.received_for, other.received_for), header),
        one.sealed or other.sealed,
    )
    return _stripped(merged) if merged.sealed else merged


def _stripped(entry: IndexEntry) -> IndexEntry:
    """Take out subject, sender and addresses of others; whom SES took it for are ours, and stay.

    A Message-ID names its sender's machine, and what a mail answers tells of others too.
    """
    accepted, header, listed = entry.acceptance, entry.header, entry.listed
    return replace(
        entry,
        acceptance=replace(accepted, sender=None) if accepted else None,
        header=replace(header, summary=Summary()) if header else None,
        listed=replace(listed, facts=ListFacts(attachment=listed.facts.attachment))
        if listed
        else None,
    )


def _counting(found: ReceivedFor | None, header: Header | None) -> ReceivedFor | None:
    """Return whom Received names; of a mail with a whole receipt nobody need read the object, so
    what the object says must not count there."""
    whole = header is not None and header.basis is Basis.RECEIPT
    return None if found and whole and found.basis is Basis.OBJECT else found


def entries(notification: Notification, prefix: str) -> tuple[IndexEntry, ...]:
    """Return what a notification says of each of its mails.

    Only mail under `prefix` may be in it. The object's own header is not in an S3 event: add it
    with `with_header` where no better one is known.
    """
    make = _of_receipt if notification.kind is NotificationKind.RECEIPT else _of_event
    return tuple(
        make(arrival, origin, arrival.key.removeprefix(prefix))
        for arrival, origin in zip(notification.arrivals, notification.origins, strict=True)
    )


def with_header(
    entry: IndexEntry, summary: Summary, ses: SesHeaders | None, facts: ListFacts | None = None
) -> IndexEntry:
    """Add to the entry of an event what the object itself shows.

    `ses` is what SES wrote on top of it; None if it was not SES that stored it.
    """
    header = Header(Basis.OBJECT, summary)
    entry = replace(
        entry,
        listed=KnownFacts(Basis.OBJECT, facts) if facts else None,
        received_for=ReceivedFor(Basis.OBJECT, (ses and ses.recipient) or ""),
    )
    received_at = iso(ses.received_at) if ses and ses.received_at is not None else ""
    if ses is None or not received_at:
        return replace(entry, header=header)
    acceptance = Acceptance(Basis.OBJECT, received_at, verdicts=ses.verdicts)
    return replace(entry, header=header, acceptance=acceptance)


def _of_receipt(arrival: Arrival, body: Mapping[str, Any], name: str) -> IndexEntry:
    envelope = arrival.envelope
    assert envelope is not None
    mail = body["mail"]
    received_at = moment(mail.get("timestamp")) or moment(body["receipt"].get("timestamp"))
    basis = Basis.CUT_RECEIPT if mail.get("headersTruncated") else Basis.RECEIPT
    facts = facts_of_receipt(mail)
    ses = ses_headers(beginning(mail), arrival.key)
    verdicts = merge_verdicts(envelope.verdicts, ses.verdicts if ses else None)
    return IndexEntry(
        name,
        arrival.key,
        frozenset(filter(None, envelope.recipients)),
        Acceptance(Basis.RECEIPT, received_at, envelope.sender, verdicts),
        Header(basis, summary_of_receipt(mail)),
        None,
        KnownFacts(basis, facts) if facts else None,
        ReceivedFor(Basis.RECEIPT, ses.recipient or "") if ses else None,
    )


def _of_event(arrival: Arrival, record: Mapping[str, Any], name: str) -> IndexEntry:
    return IndexEntry(
        name,
        arrival.key,
        acceptance=Acceptance(Basis.EVENT, moment(record.get("eventTime"))),
        stored=Stored(arrival.etag, arrival.size, sequencer(record["s3"]["object"])),
    )


def _better(one: _Fact | None, other: _Fact | None) -> _Fact | None:
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda fact: fact.weight)
