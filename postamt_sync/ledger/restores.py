"""Mail that a person wants back from the bucket, at once or after it was restored from an archive.

An order for archived mail is durable, so that asking again continues it. As soon as the object can
be read, the order becomes a new edition to be delivered, and is deleted.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postamt_sync.ledger.absences import forget_absence, is_absent_for_some
from postamt_sync.ledger.rows import ObjectState
from postamt_sync.ledger.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """A mail to bring back. `mailboxes` have lost their copies; empty: none of them has one."""

    mail: str
    mailboxes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """An order for an archived object. `requested`: S3 was asked to restore it."""

    mail: str
    key: str
    mailboxes: tuple[str, ...]
    tier: str
    requested: bool


class Restores:
    """Orders, and what becomes of them. May be used while the daemon runs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def order(self, wanted: Iterable[Wanted], tier: str) -> None:
        """Order archived mail. An order that exists stays as it is."""
        with self._store.writing() as db:
            db.executemany(
                "INSERT OR IGNORE INTO restores SELECT mail, revision, ?, ?, ?, NULL FROM objects"
                " WHERE mail = ?",
                [(json.dumps(w.mailboxes), tier, time.time(), w.mail) for w in wanted],
            )

    def orders(self) -> list[Order]:
        """Return the open orders: those that S3 was asked for, oldest first, then the others.

        An order whose mail has come another way meanwhile is deleted.
        """
        with self._store.writing() as db:
            db.execute(
                "DELETE FROM restores WHERE NOT EXISTS (SELECT 1 FROM objects o"
                " WHERE o.mail = restores.mail AND o.revision = restores.revision)"
            )
            rows = db.execute(
                "SELECT r.*, o.key FROM restores r JOIN objects o USING (mail)"
                " ORDER BY requested_at IS NULL, requested_at, o.key"
            ).fetchall()
        return [
            Order(
                mail=row["mail"],
                key=row["key"],
                mailboxes=tuple(json.loads(row["mailboxes"])),
                tier=row["tier"],
                requested=row["requested_at"] is not None,
            )
            for row in rows
        ]

    def requested(self, mail: str) -> None:
        """Note that S3 was asked to restore it."""
        with self._store.writing() as db:
            db.execute("UPDATE restores SET requested_at = ? WHERE mail = ?", (time.time(), mail))

    def give_up(self, mail: str) -> None:
        """Delete an order that cannot be fulfilled."""
        with self._store.writing() as db:
            db.execute("DELETE FROM restores WHERE mail = ?", (mail,))

    def deliver(self, wanted: Sequence[Wanted]) -> int:
        """Make readable mail due in a new edition; return how many mails that were.

        Mailboxes that still have their copy get no second one. Mail that waits to be delivered
        anyway is left alone.
        """
        with self._store.writing() as db:
            return sum(_deliver(db, each) for each in wanted)

    def waiting_of(self, mails: Iterable[str]) -> set[str]:
        """Return those of these mails that are still to be delivered."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT mail FROM objects WHERE state = 'waiting'"
                " AND mail IN (SELECT value FROM json_each(?))",
                (json.dumps(sorted(mails)),),
            )
            return {mail for (mail,) in rows}

    def still_waiting(self, mails: Iterable[str]) -> tuple[int, int]:
        """Return how many of these mails still wait, and how many cannot be delivered for now."""
        waiting = failing = 0
        with self._store.reading() as db:
            for mail in mails:
                row = db.execute(
                    "SELECT state, problem FROM objects WHERE mail = ?", (mail,)
                ).fetchone()
                if row is None or row["state"] != ObjectState.WAITING:
                    failing += row is None or row["state"] != ObjectState.DELIVERED
                elif row["problem"]:
                    failing += 1
                else:
                    waiting += 1
        return waiting, failing


def _deliver(db: sqlite3.Connection, wanted: Wanted) -> bool:
    db.execute("DELETE FROM restores WHERE mail = ?", (wanted.mail,))
    lost = json.dumps(wanted.mailboxes)
    # A mailbox that is named gets its copy however old it is; others stay without theirs.
    owed = db.execute(
        "UPDATE deliveries SET state = 'waiting' WHERE mail = ? AND state = 'absent'"
        " AND mailbox IN (SELECT value FROM json_each(?))",
        (wanted.mail, lost),
    )
    changed = db.execute(
        "UPDATE objects SET state = 'waiting', revision = revision + 1, edition = edition + 1,"
        " attempts = 0, problem = NULL, etag = NULL, envelope = 'unknown',"
        " due = 'first', next_attempt = 0"
        " WHERE mail = ? AND state != 'skipped' AND (state != 'waiting' OR ?)",
        (wanted.mail, bool(owed.rowcount)),
    )
    if not changed.rowcount:
        return False
    db.execute(
        "INSERT OR IGNORE INTO deliveries (mail, mailbox, stem, state)"
        " SELECT ?, value, '', 'waiting' FROM json_each(?)",
        (wanted.mail, lost),
    )
    if not wanted.mailboxes and not is_absent_for_some(db, wanted.mail):
        forget_absence(db, wanted.mail)
    db.execute(
        "UPDATE deliveries SET edition = edition + 1 WHERE mail = ?1 AND state = 'delivered'"
        " AND edition = (SELECT edition - 1 FROM objects WHERE mail = ?1)"
        " AND mailbox NOT IN (SELECT value FROM json_each(?2))",
        (wanted.mail, lost),
    )
    return True
