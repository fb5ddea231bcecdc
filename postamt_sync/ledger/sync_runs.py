"""The numbers of one pass over the bucket: what became of the objects that were listed.

The objects are noted in a temporary table, so that a pass over a million of them needs little
memory and leaves nothing behind.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from postamt_sync.ledger.rows import EnvelopeState, ObjectState
from postamt_sync.ledger.store import Store

_OPEN = (ObjectState.WAITING, ObjectState.ARCHIVED, ObjectState.SEALED, ObjectState.SKIPPED)


@dataclass(slots=True)
class SyncTotals:
    """Counts mails, not copies. `listed` is the sum of all others."""

    listed: int = 0
    known: int = 0
    delivered: int = 0
    archived: int = 0
    quarantined: int = 0
    failed: int = 0
    waiting: int = 0
    skipped: int = 0
    gone: int = 0
    sealed: int = 0


class SyncRuns:
    """Counts one pass at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self) -> None:
        """Forget the previous pass."""
        with self._store.writing() as db:
            db.execute("DROP TABLE IF EXISTS temp.pass")
            db.execute("CREATE TEMP TABLE pass (mail TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, bucket: str, keys: Sequence[str]) -> int:
        """Note a page of listed keys, which is in key order; return how many need something done.

        To be called after the page was recorded.
        """
        if not keys:
            return 0
        listed = set(keys)
        with self._store.writing() as db:
            # The ledger may have many keys in this range that are gone from the bucket.
            rows = db.execute(
                "SELECT key, mail, state FROM objects WHERE bucket = ? AND key >= ? AND key <= ?",
                (bucket, keys[0], keys[-1]),
            )
            todo = [(mail,) for key, mail, state in rows if state in _OPEN and key in listed]
            db.executemany("INSERT OR IGNORE INTO temp.pass VALUES (?)", todo)
        return len(todo)

    def leave_out_settled(self) -> int:
        """Forget noted objects that need nothing any more; return how many are left."""
        open_states = sorted(_OPEN)
        with self._store.writing() as db:
            db.execute(
                "DELETE FROM temp.pass WHERE mail NOT IN (SELECT mail FROM objects"
                " WHERE state IN (SELECT value FROM json_each(?)))",
                (json.dumps(open_states),),
            )
            (left,) = db.execute("SELECT count(*) FROM temp.pass").fetchone()
        return int(left)

    def totals(self, listed: int) -> SyncTotals:
        """Return what became of the objects of this pass, `listed` in number, up to now."""
        result = SyncTotals(listed=listed)
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT o.state, o.envelope, count(*) FROM temp.pass p JOIN objects o USING (mail)"
                " GROUP BY o.state, o.envelope"
            ).fetchall()
        noted = 0
        for state, envelope, count in rows:
            noted += count
            match ObjectState(state):
                case ObjectState.WAITING if envelope == EnvelopeState.AWAITED:
                    result.waiting += count
                case ObjectState.WAITING:
                    result.failed += count
                case ObjectState.ADOPTED | ObjectState.ABSENT:
                    result.known += count
                case counted:  # under its own name
                    setattr(result, counted, getattr(result, counted) + count)
        result.known += listed - noted
        return result
