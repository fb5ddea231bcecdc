"""Questions to the index: mails whose envelope no receipt has brought, and when to ask.

A question is noted in the transaction of the delivery or the wait that lacks the receipt, so it
survives a crash. A receipt from any source settles it. The times are on the monotonic clock, which
starts over when the machine does: `restart` sets them again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postamt_sync.ledger.rows import EnvelopeState
from postamt_sync.ledger.store import Store

PATIENCE = 6 * 3600.0
"""Seconds for which a mail that nothing else can place waits for an index that cannot be asked.
Lambda itself gives up after six hours (MaximumEventAgeInSeconds): the index knows the mail by then,
or never will without help."""


@dataclass(frozen=True, slots=True)
class EnvelopeLookup:
    """One mail to ask about. `first_seen` and `last_modified` are in seconds since 1970."""

    mail: str
    bucket: str
    key: str
    first_seen: float
    last_modified: float | None


class EnvelopeLookups:
    """What to ask, and what became of it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def restart(self, now: float, wall: float, grace: float) -> None:
        """Set every time again, after a restart of the machine: at most `grace` seconds from `now`.

        `now` is on the monotonic clock, `wall` in seconds since 1970. If a mail's grace is over by
        now, its question is due.
        """
        with self._store.writing() as db:
            db.execute(
                "UPDATE questions SET at = ? + (SELECT max(0, min(?,"
                " coalesce(o.last_modified, o.first_seen) + ? - ?))"
                " FROM objects o WHERE o.mail = questions.mail)",
                (now, grace, grace, wall),
            )

    def due(self, now: float, limit: int) -> list[EnvelopeLookup]:
        """Return up to `limit` questions that are due at `now`, the longest due first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT o.mail, bucket, key, first_seen, last_modified"
                " FROM questions q JOIN objects o USING (mail) WHERE at <= ? ORDER BY at LIMIT ?",
                (now, limit),
            )
            return [EnvelopeLookup(*row) for row in rows]

    def next_moment(self) -> float | None:
        """Return when the next question is due, on the monotonic clock; None if there is none."""
        with self._store.reading() as db:
            (moment,) = db.execute("SELECT min(at) FROM questions").fetchone()
        return None if moment is None else float(moment)

    def count(self) -> int:
        """Return how many questions there are, due or not."""
        with self._store.reading() as db:
            (count,) = db.execute("SELECT count(*) FROM questions").fetchone()
        return int(count)

    def settle(self, mails: Sequence[str]) -> None:
        """Note that the index was asked: what it does not know, nobody waits for any longer."""
        with self._store.writing() as db:
            db.executemany("DELETE FROM questions WHERE mail = ?", [(m,) for m in mails])
            _release(db, mails)

    def put_off(self, mails: Sequence[str], moment: float, release: Iterable[str] = ()) -> None:
        """Note that the index cannot be asked before `moment`, and that `release` need not wait."""
        with self._store.writing() as db:
            db.executemany(
                "UPDATE questions SET at = ? WHERE mail = ?", [(moment, m) for m in mails]
            )
            _release(db, release)


def put_lookup(db: sqlite3.Connection, mail: str, at: float, *, asked: bool = True) -> None:
    """Note that the index is to be asked for a mail's envelope at `at`, on the monotonic clock.

    Not if a receipt has come meanwhile. A question that exists stays as it is. With `asked=False` a
    mail is left out that the index was asked about in vain before.
    """
    db.execute(
        "INSERT OR IGNORE INTO questions (mail, at)"
        " SELECT ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM recipients WHERE mail = ?1)"
        " AND (?3 OR NOT EXISTS (SELECT 1 FROM objects WHERE mail = ?1 AND envelope = ?4))",
        (mail, at, asked, EnvelopeState.IN_VAIN),
    )


def _release(db: sqlite3.Connection, mails: Iterable[str]) -> None:
    """Note that these envelopes are not to be waited for, and make due the mails that did wait."""
    db.executemany(
        "UPDATE objects SET envelope = 'in vain',"
        " due = CASE envelope WHEN 'awaited' THEN 'first' ELSE due END,"
        " next_attempt = CASE envelope WHEN 'awaited' THEN 0 ELSE next_attempt END"
        " WHERE mail = ? AND state = 'waiting'",
        [(mail,) for mail in mails],
    )
