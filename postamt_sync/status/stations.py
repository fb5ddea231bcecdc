"""A mail's way as stations, one a line, each with its time; the last is its present state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postamt_sync.ledger import DeliveryState, ObjectState
from postamt_sync.ledger.tracks import Copy, Track
from postamt_sync.mail.arrival import Evidence, Source
from postamt_sync.mail.sent_mail import read_sent_key
from postamt_sync.quantities import size_in_words, span
from postamt_sync.status.find import FoundMail
from postamt_sync.status.maildir_search import MailFile

_ANNOUNCED = {
    Source.WEBHOOK: "by the webhook",
    Source.QUEUE: "by the queue",
    Source.DEAD_LETTER: "by a dead letter: the webhook had missed it",
    Source.POLL: "by nobody: the poll found it",
    Source.RECONCILE: "by nobody: the daily listing found it",
    Source.SYNC: "by nobody: a sync found it",
    Source.SENT: "by nobody: the poll found it among what was sent",
    Source.RETRY: "by a person who asked for it",
    Source.INDEX: "by the index",
}
_EVIDENCE = {
    Evidence.RECEIPT: "the envelope of SES's receipt",
    Evidence.RECEIVED: "SES's own Received line",
    Evidence.HEADERS: "To and Cc, for no envelope could be had",
    Evidence.DEFAULT: "nothing: the default mailbox gets what names nobody",
    Evidence.SENT: "its key, which names who sent it in the webmail",
}


@dataclass(frozen=True, slots=True)
class Station:
    """One line: a word for the station, what happened, and when (seconds since 1970; None for now
    or unknown). `path` is the file at its end. Nothing in it has been made printable yet."""

    name: str
    text: str
    at: float | None = None
    path: str = ""


def stations(found: FoundMail, now: float, *, running: bool) -> Iterator[Station]:
    """Yield the stations in order; `now` is on the monotonic clock, for the next attempt.

    `running` tells whether a daemon or pass is delivering.
    """
    track = found.track
    if track is None:
        yield from _without_ledger(found)
        return
    size = f", {size_in_words(track.size)}" if track.size is not None else ""
    by = "SES" if read_sent_key(track.key) is None else "the webmail"
    when = "" if track.last_modified is not None else "; when is not known yet"
    yield Station("stored", f"by {by} as {track.key}{size}{when}", track.last_modified)
    by_whom = _ANNOUNCED[Source(track.source)] if track.source in set(Source) else track.source
    yield Station("announced", by_whom, track.first_seen)
    prepared = [c.delivery.prepared_at for c in track.copies if c.delivery.prepared_at]
    if prepared:
        yield Station("fetched", "whole, and checked", min(prepared))
    yield from _routed(found, track)
    for copy in track.copies:
        yield from _copy(found, copy)
    known = {(copy.delivery.stem, copy.delivery.mailbox) for copy in track.copies}
    for file in found.files:
        if (file.stem, file.mailbox) not in known:
            yield _file_station(file, f"also in {file.mailbox}'s")
    yield from _end(track, now, running=running)
    yield from _object(found)


def _without_ledger(found: FoundMail) -> Iterator[Station]:
    if found.object is not None:
        size = f", {size_in_words(found.object.size)}" if found.object.size is not None else ""
        yield Station("stored", f"by SES as {found.object.key}{size}", found.stored_at)
    else:
        yield Station("stored", "in S3, as the file's name tells", found.stored_at)
    for file in found.files:
        yield _file_station(file, f"to {file.mailbox}, now in")
    if not found.files:
        yield Station(
            "stands",
            "in the bucket alone: nobody here has heard of it. postamt-sync sync fetches it",
        )
    yield from _object(found)


def _routed(found: FoundMail, track: Track) -> Iterator[Station]:
    names = list(dict.fromkeys(c.delivery.mailbox for c in track.copies))
    told = track.recipients or (found.envelope.recipients if found.envelope else ())
    to = f" ({', '.join(told)})" if told else ""
    failed = [name for name, verdict in track.verdicts.items() if verdict == "FAIL"]
    verdict = f"; SES says {', '.join(failed)} FAIL" if failed else ""
    if names and track.evidence in set(Evidence):
        why = _EVIDENCE[Evidence(track.evidence)]
        yield Station("routed", f"to {', '.join(names)}, by {why}{to}{verdict}")
    elif told:
        yield Station("addressed", f"to {', '.join(told)}, by its envelope{verdict}")


def _copy(found: FoundMail, copy: Copy) -> Iterator[Station]:
    mailbox = copy.delivery.mailbox
    match copy.delivery.state:
        case DeliveryState.DELIVERED:
            its = copy.delivery.stem, mailbox
            files = [f for f in found.files if (f.stem, f.mailbox) == its]
            for file in files:
                yield _file_station(file, f"to {mailbox}, now in", copy.delivered_at)
            if not files:
                yield Station(
                    "delivered", f"to {mailbox}; {_whereabouts(found, copy)}", copy.delivered_at
                )
        case DeliveryState.PREPARED:
            why = f": {copy.problem}" if copy.problem else ""
            yield Station("prepared", f"for {mailbox}, in tmp/{why}", copy.delivery.prepared_at)
        case DeliveryState.ABSENT:
            yield Station(
                "absent",
                f"for {mailbox} since the ledger was lost: postamt-sync restore brings it back",
            )
        case _:
            yield Station("waits", f"for {mailbox}: {copy.problem or 'it has no copy yet'}")


def _whereabouts(found: FoundMail, copy: Copy) -> str:
    mailbox = copy.delivery.mailbox
    if mailbox in found.unread:
        return "its Maildir could not be looked into"
    if mailbox in found.by_lmtp:
        return "by LMTP: Dovecot has named its file"
    return "its file is not there any more: deleted, or moved elsewhere"


def _file_station(file: MailFile, lead: str, at: float | None = None) -> Station:
    flags = "new" if file.flags is None else ", ".join(file.flags) or "not seen yet"
    return Station("delivered", f"{lead} {file.folder or 'INBOX'}, {flags}", at, file.path)


def _end(track: Track, now: float, *, running: bool) -> Iterator[Station]:
    match track.state:
        case ObjectState.WAITING:
            yield Station("waits", _waiting(track, now, running=running))
        case ObjectState.QUARANTINED:
            remedy = f"Once that is fixed: postamt-sync quarantine retry {track.mail}"
            yield Station(
                "quarantined", f"{track.problem or 'undeliverable'} {remedy}", track.settled_at
            )
        case ObjectState.ARCHIVED:
            yield Station("archived", "in S3; it comes once it has been restored", track.settled_at)
        case ObjectState.SEALED:
            how = f"in S3; with its owner's key: postamt-sync restore {track.mail}"
            yield Station("sealed", how, track.settled_at)
        case ObjectState.GONE:
            yield Station(
                "gone", "it was deleted from the bucket before it was read", track.settled_at
            )
        case ObjectState.ADOPTED:
            yield Station("left", "in the bucket on purpose, by sync --mark-delivered or --since")
        case ObjectState.ABSENT if not track.copies:
            yield Station("absent", "since the ledger was lost", track.settled_at)


def _waiting(track: Track, now: float, *, running: bool) -> str:
    due = max(0.0, track.next_attempt - now)
    if not running:
        when = "nobody delivers: the daemon is not running"
    elif due >= 1:
        when = f"next attempt in {span(due)}"
    else:
        when = "due now"
    if track.problem:
        tried = f", tried {track.attempts} times" if track.attempts > 1 else ""
        return f"{track.problem} ({when}{tried})"
    if track.awaits_envelope:
        return f"its envelope may still come ({when})"
    return when


def _object(found: FoundMail) -> Iterator[Station]:
    seen = found.object
    if seen is None:
        return
    if seen.problem:
        yield Station("bucket", seen.problem)
    elif seen.size is not None:
        yield Station("bucket", f"has it: {size_in_words(seen.size)}, {seen.storage_class}")
