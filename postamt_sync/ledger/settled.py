"""Up to when all incoming mail is settled, and so may be sealed."""

from __future__ import annotations

import json
from dataclasses import dataclass

from postamt_sync.ledger.rows import ObjectState
from postamt_sync.ledger.store import Store

LATE = 86_400.0
"""Seconds by which a mail may be older than when we heard of it, if S3's own time is unknown."""

_OPEN = (ObjectState.WAITING, ObjectState.ARCHIVED, ObjectState.QUARANTINED)
"""Not in all of its mailboxes, and nobody has decided that this is right.

Delivered, adopted and skipped are settled. Of gone and sealed ones there is no plain object that
could be taken away. Absent is settled once someone has looked at it."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The oldest mail that is not settled. It came at `came_at` (seconds since 1970) or later."""

    key: str
    state: ObjectState
    came_at: float


class UnsettledMail:
    """Reads only."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def oldest_unsettled(self, bucket: str, prefix: str) -> Unsettled | None:
        """Return the oldest mail below a prefix that is not settled; None if all are.

        The ledger knows all mail only after a full listing.
        """
        with self._store.reading() as db:
            row = db.execute(
                "SELECT key, state, min(coalesce(last_modified, first_seen - ?)) AS came_at"
                " FROM objects WHERE bucket = ? AND substr(key, 1, ?) = ? AND"
                " (state IN (SELECT value FROM json_each(?))"
                " OR state = 'absent' AND absence = 'unseen')",
                (LATE, bucket, len(prefix), prefix, json.dumps(_OPEN)),
            ).fetchone()
        if row is None or row["key"] is None:
            return None
        return Unsettled(row["key"], ObjectState(row["state"]), row["came_at"])
