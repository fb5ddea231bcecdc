"""The latest mails, with the headers that people know them by, and their states."""

from __future__ import annotations

from dataclasses import dataclass

from postamt_sync.ledger import DeliveryState, Ledger, ObjectState
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.mail.arrival import Source

_LATE_ON_PURPOSE = {Source.SYNC, Source.RECONCILE}
"""Mail found by these was in the bucket before anybody looked."""


@dataclass(frozen=True, slots=True)
class LatestMail:
    """One mail. `took` is the seconds from S3 to the last of its mailboxes, None if not timed."""

    header: MailHeader
    state: ObjectState
    mailboxes: tuple[str, ...]
    took: float | None = None


def latest_mails(ledger: Ledger, limit: int) -> list[LatestMail]:
    """Return them, newest first; none if headers are not to be remembered."""
    headers = ledger.headers.latest(limit)
    tracks = ledger.tracks.of([header.mail for header in headers])
    latest = []
    for header in headers:
        track = tracks.get(header.mail)
        if track is None:
            continue
        delivered = [
            copy for copy in track.copies if copy.delivery.state is DeliveryState.DELIVERED
        ]
        ends = [copy.delivered_at for copy in delivered if copy.delivered_at is not None]
        timed = ends and track.last_modified is not None and track.source not in _LATE_ON_PURPOSE
        latest.append(
            LatestMail(
                header,
                track.state,
                tuple(dict.fromkeys(copy.delivery.mailbox for copy in track.copies)),
                max(0.0, max(ends) - track.stored_at) if timed else None,
            )
        )
    return latest
