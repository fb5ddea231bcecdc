"""Mail that was missing at home when the ledger was rebuilt, until someone has looked at it.

Most of it was deleted by its owner. But file names alone cannot tell that from mail that was never
delivered, so a person is told whose mail it is, how much, and from when.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from postamt_sync.ledger.rows import DeliveryState
from postamt_sync.ledger.store import Store
from postamt_sync.quantities import count


@dataclass(frozen=True, slots=True)
class Absence:
    """What one mailbox lacks. `mailbox` is "" if no envelope says whose mail it is.

    `first` and `last` are when S3 stored the oldest and the newest of it, in seconds since 1970.
    """

    mailbox: str
    mails: int
    first: float
    last: float

    def in_words(self) -> str:
        """Return how many mails, and from when to when, in this machine's time zone."""
        mails = count(self.mails, "mail")
        first, last = (
            f"{dt.datetime.fromtimestamp(at, dt.UTC).astimezone():%Y-%m-%d %H:%M}"
            for at in (self.first, self.last)
        )
        return f"{mails} of {first}" if first == last else f"{mails}, from {first} to {last}"


class Absences:
    """Reads what is absent, and notes that someone has looked at it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def unseen(self) -> list[Absence]:
        """Return what nobody has looked at yet, one entry per mailbox, in their order."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT coalesce(d.mailbox, '') AS whose, count(*), min(o.last_modified),"
                " max(o.last_modified) FROM objects o INDEXED BY objects_unseen"
                " LEFT JOIN deliveries d ON d.mail = o.mail AND d.state = 'absent'"
                " WHERE o.absence = 'unseen' AND (d.mail IS NOT NULL OR o.state = 'absent')"
                " GROUP BY whose ORDER BY whose"
            ).fetchall()
        return [Absence(whose, count, first or 0, last or 0) for whose, count, first, last in rows]

    def may_grow(self) -> bool:
        """Tell whether a rebuild may still find mail absent.

        That is so while it is under way, and until all mail that was in the bucket then was tried
        once. Mail that failed does not count: it may go on failing.
        """
        with self._store.reading() as db:
            row = db.execute(
                "SELECT 1 FROM rebuilding UNION ALL"
                " SELECT 1 FROM objects WHERE state = 'waiting' AND from_names = 1"
                " AND attempts = 0 AND envelope != 'awaited' LIMIT 1"
            ).fetchone()
        return row is not None

    def looked_at(self, mails: Collection[str]) -> None:
        """Note that someone was shown that these mails are absent."""
        with self._store.writing() as db:
            # A later envelope may say whose mail it was. That is nothing new to look at.
            db.executemany(
                "UPDATE objects SET absence = CASE state WHEN 'absent' THEN 'seen' ELSE 'none' END"
                " WHERE mail = ? AND absence = 'unseen'",
                [(mail,) for mail in mails],
            )


def is_absent_for_some(db: sqlite3.Connection, mail: str) -> bool:
    """Tell whether the mail is known to be absent for some mailbox."""
    row = db.execute(
        "SELECT 1 FROM deliveries WHERE mail = ? AND state = 'absent'", (mail,)
    ).fetchone()
    return row is not None


def forget_absence(db: sqlite3.Connection, mail: str) -> None:
    """Let a mail be delivered to all that its envelope names, as if no ledger had been lost."""
    db.execute("UPDATE objects SET from_names = 0, absence = 'none' WHERE mail = ?", (mail,))
    db.execute("DELETE FROM deliveries WHERE mail = ? AND state = 'absent'", (mail,))


def find_absent(db: sqlite3.Connection, mails: Sequence[str]) -> set[str]:
    """Return which of these mails are absent for some mailbox."""
    rows = db.execute(
        "SELECT DISTINCT mail FROM deliveries"
        " WHERE state = 'absent' AND mail IN (SELECT value FROM json_each(?))",
        (json.dumps(mails),),
    )
    return {mail for (mail,) in rows}


def note_absent(db: sqlite3.Connection, mail: str, mailboxes: Collection[str]) -> None:
    """Note for which mailboxes a mail is absent. A new one among them is for someone to look at."""
    rows = db.execute(
        "SELECT mailbox FROM deliveries WHERE mail = ? AND state = 'absent'", (mail,)
    ).fetchall()
    known = {mailbox for (mailbox,) in rows}
    db.executemany(
        "DELETE FROM deliveries WHERE mail = ? AND mailbox = ? AND state = 'absent'",
        [(mail, mailbox) for mailbox in known.difference(mailboxes)],
    )
    news = [mailbox for mailbox in mailboxes if mailbox not in known]
    db.executemany(
        "INSERT OR REPLACE INTO deliveries (mail, mailbox, stem, state) VALUES (?, ?, '', ?)",
        [(mail, mailbox, DeliveryState.ABSENT) for mailbox in news],
    )
    if news:
        db.execute(
            "UPDATE objects SET absence = 'unseen' WHERE mail = ? AND absence != 'seen'", (mail,)
        )
