"""What people know a mail by: Message-ID, From, To and Subject, remembered beside its way.

A table of its own, so that the courier's tables stay narrow. Nothing of delivery depends on it: it
is filled after the event, and may be erased at any time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from postamt_sync.ledger.search_text import folded
from postamt_sync.ledger.store import Store

ERASED_AT_ONCE = 2_000
"""Rows in one transaction: nobody waits for the ledger meanwhile."""


@dataclass(frozen=True, slots=True)
class MailHeader:
    """The sender's words, decoded, on one line each, "" where the mail has no such field.

    `stored_at` in seconds since 1970. `recipients` is To, not the envelope.
    """

    mail: str
    stored_at: float
    message_id: str = ""
    sender: str = ""
    recipients: str = ""
    subject: str = ""

    @property
    def text(self) -> str:
        """All that is searched."""
        return f"{self.subject}\n{self.sender}\n{self.recipients}\n{self.message_id}"


class RememberedHeaders:
    """Writes and reads them; every method is short, and durable where it writes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, headers: Iterable[MailHeader]) -> int:
        """Remember these, of mails that the ledger knows; return how many it had not."""
        rows = [
            {
                "mail": h.mail,
                "stored_at": h.stored_at,
                "message_id": h.message_id,
                "sender": h.sender,
                "recipients": h.recipients,
                "subject": h.subject,
                "folded": "" if h.text.isascii() else folded(h.text),
            }
            for h in headers
        ]
        if not rows:
            return 0
        with self._store.writing() as db:
            added = db.executemany(
                "INSERT OR IGNORE INTO headers SELECT :mail, :stored_at, :message_id, :sender,"
                " :recipients, :subject, :folded"
                " WHERE EXISTS (SELECT 1 FROM objects WHERE mail = :mail)",
                rows,
            )
            return added.rowcount

    def lacking(self, mails: Collection[str]) -> set[str]:
        """Return those of these mails that the ledger knows without their header."""
        with self._store.reading() as db:
            return {
                mail
                for mail in mails
                if db.execute(
                    "SELECT 1 FROM objects WHERE mail = ?1"
                    " AND NOT EXISTS (SELECT 1 FROM headers WHERE mail = ?1)",
                    (mail,),
                ).fetchone()
            }

    def mails(self) -> set[str]:
        """Return the ids of all mails whose header is remembered: some 90 bytes each."""
        with self._store.reading() as db:
            return {mail for (mail,) in db.execute("SELECT mail FROM headers")}

    def of(self, mails: Iterable[str]) -> dict[str, MailHeader]:
        """Return by mail id those that are remembered."""
        with self._store.reading() as db:
            rows = [
                db.execute("SELECT * FROM headers WHERE mail = ?", (mail,)).fetchone()
                for mail in mails
            ]
        return {row["mail"]: read_header(row) for row in rows if row is not None}

    def latest(self, limit: int) -> Sequence[MailHeader]:
        """Return those of the mails that S3 stored last, the newest first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM headers ORDER BY stored_at DESC LIMIT ?", (limit,)
            ).fetchall()
        return [read_header(row) for row in rows]

    def erase(self) -> int:
        """Forget all of them, so that the file does not hold them any more; return how many.

        Copies of the ledger that were made before still do.
        """
        erased = 0
        while True:
            with self._store.writing() as db:
                db.execute("PRAGMA secure_delete = ON")  # for this connection, from now on
                some = db.execute(
                    "DELETE FROM headers WHERE mail IN (SELECT mail FROM headers LIMIT ?)",
                    (ERASED_AT_ONCE,),
                ).rowcount
            erased += some
            if not some:
                break
        if erased:
            self._store.empty_log()
        return erased


def read_header(row: sqlite3.Row) -> MailHeader:
    """Return the header in a row of the table."""
    return MailHeader(
        row["mail"],
        row["stored_at"],
        row["message_id"],
        row["sender"],
        row["recipients"],
        row["subject"],
    )
