"""Rebuilding a lost ledger, and completing an old one, from the names in the Maildirs.

It begins with the names and ends with a full listing of the bucket, which knows the keys. What is
heard of in between and has no name is held: only the end can tell whether it is new, or absent
because its owner deleted it. A rebuild that was cut short goes on with the next `begin`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postamt_sync.ledger.arrivals import DUE_FIRST, DUE_NOW, HELD
from postamt_sync.ledger.rows import ObjectState
from postamt_sync.ledger.store import Store
from postamt_sync.ledger.traces import Trace, claim, keep, knows_all


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How a rebuild ended: objects taken for deleted, and objects that are to be delivered."""

    absent: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Unhashed:
    """A copy of a content that is no longer the object's, as far as an ETag can tell."""

    mail: str
    mailbox: str
    stem: str
    maildir: str


class Rebuild:
    """Takes in names, then holds the unknown until the bucket was listed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def pending(self) -> bool:
        """Whether a rebuild has begun and not ended."""
        with self._store.reading() as db:
            return db.execute("SELECT 1 FROM rebuilding").fetchone() is not None

    def knows_all(self, names: Sequence[tuple[str, str]]) -> bool:
        """Tell whether every (mail id, stem) is known; if not, this ledger is lost or old."""
        with self._store.reading() as db:
            return knows_all(db, names)

    def begin(self, roots: Iterable[tuple[str, str]]) -> None:
        """Hold what is unknown from now on. `roots` are (mailbox, Maildir) that are there."""
        with self._store.writing() as db:
            db.execute("INSERT OR IGNORE INTO rebuilding VALUES (1, ?, NULL)", (time.time(),))
            # None of them may be made again: a missing one is an unmounted disk.
            db.executemany(
                "INSERT OR IGNORE INTO maildirs (mailbox, root, created_at) VALUES (?, ?, ?)",
                [(mailbox, root, time.time()) for mailbox, root in roots],
            )

    def take(self, traces: Sequence[Trace]) -> int:
        """Take in names; return how many of them were news.

        A copy of an object that is known counts as delivered at once. One that was still to be
        delivered stays so, for it may lack further copies.
        """
        with self._store.writing() as db:
            before = db.total_changes
            keep(db, traces)
            news = db.total_changes - before
            for mail in {trace.mail for trace in traces} if news else ():
                row = db.execute("SELECT state FROM objects WHERE mail = ?", (mail,)).fetchone()
                said = claim(db, mail) if row is not None else None
                if said is None or row["state"] in {ObjectState.WAITING, ObjectState.SKIPPED}:
                    continue
                db.execute(
                    "UPDATE objects SET state = ?, revision = revision + 1, routed = revision + 1,"
                    " next_attempt = ?, settled_at = ?, problem = NULL WHERE mail = ?",
                    (
                        ObjectState.WAITING if said.drafted else ObjectState.DELIVERED,
                        DUE_FIRST,
                        time.time(),
                        mail,
                    ),
                )
        return news

    def unhashed(self) -> list[Unhashed]:
        """Return copies of held objects whose content must be compared by its hash."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT d.mail, d.mailbox, d.stem, d.maildir FROM objects o"
                " JOIN deliveries d USING (mail) WHERE o.state = 'waiting' AND o.next_attempt = ?"
                " AND d.state = 'delivered' AND d.sha256 = ''",
                (HELD,),
            )
            return [Unhashed(*row) for row in rows]

    def note_hash(self, copy: Unhashed, sha256: str) -> None:
        """Note the SHA-256 (hex) of the bytes of a copy."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE deliveries SET sha256 = ? WHERE mail = ? AND mailbox = ? AND stem = ?",
                (sha256, copy.mail, copy.mailbox, copy.stem),
            )

    def end(self) -> Rebuilt | None:
        """After a full listing: let go what was held. None if no rebuild is under way.

        What no name shows and is older than the newest name of an object is absent; the rest is to
        be delivered. Times count in whole seconds: names know no more.
        """
        with self._store.writing() as db:
            row = db.execute("SELECT horizon FROM rebuilding").fetchone()
            if row is None:
                return None
            absent = db.execute(
                "UPDATE objects SET state = 'absent', settled_at = ?, next_attempt = ?"
                " WHERE state IN ('waiting', 'archived') AND next_attempt = ?"
                " AND CAST(last_modified AS INTEGER) < CAST(? AS INTEGER)"
                " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.mail = objects.mail)",
                (time.time(), DUE_NOW, HELD, row["horizon"]),
            ).rowcount
            waiting = db.execute(
                "UPDATE objects SET next_attempt = ? WHERE state = 'waiting' AND next_attempt = ?",
                (DUE_NOW, HELD),
            ).rowcount
            # What the names told of was never settled, which is where mails are counted.
            db.execute(
                "INSERT OR REPLACE INTO days"
                " SELECT date(last_modified, 'unixepoch', 'localtime'), count(*) FROM objects"
                " WHERE last_modified IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries d"
                " WHERE d.mail = objects.mail AND d.state = 'delivered') GROUP BY 1"
            )
            db.execute("DELETE FROM rebuilding")
        return Rebuilt(absent, waiting)

    def unmatched(self) -> int:
        """Return how many copies have a name of ours whose object the bucket does not have."""
        with self._store.reading() as db:
            (count,) = db.execute("SELECT count(*) FROM traces WHERE NOT draft").fetchone()
        return int(count)
