"""What people know a mail by: Message-ID, From, To and Subject.

They have a table of their own, so that the courier's tables stay narrow. Delivery does not depend
on it: it is filled afterwards, and may be erased at any time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from postamt_sync.ledger.search_text import folded
from postamt_sync.ledger.store import Store

ERASED_AT_ONCE = 2_000
"""Rows per transaction, so few that nobody has to wait for the ledger."""


@dataclass(frozen=True, slots=True)
class MailHeader:
    """The sender's words: decoded, each on one line, "" if the mail has no such field.

    `stored_at` is in seconds since 1970. `recipients` is the field To, not the envelope.
    """

    mail: str
    stored_at: float
    message_id: str = ""
    sender: str = ""
    recipients: str = ""
    subject: str = ""

    @property
    def text(self) -> str:
        """What a search looks at."""
        return f"{self.subject}\n{self.sender}\n{self.recipients}\n{self.message_id}"


class RememberedHeaders:
    """Writes and reads them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, headers: Iterable[MailHeader]) -> int:
        """Remember headers of mails that the ledger knows; return how many were new."""
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
        """Return those of these mails that the ledger knows, but whose headers it does not."""
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
        """Return the ids of all mails whose headers are remembered: about 90 bytes each."""
        with self._store.reading() as db:
            return {mail for (mail,) in db.execute("SELECT mail FROM headers")}

    def of(self, mails: Iterable[str]) -> dict[str, MailHeader]:
        """Return the headers that are remembered of these mails, by mail id."""
        with self._store.reading() as db:
            rows = [
                db.execute("SELECT * FROM headers WHERE mail = ?", (mail,)).fetchone()
                for mail in mails
            ]
        return {row["mail"]: read_header(row) for row in rows if row is not None}

    def latest(self, limit: int) -> Sequence[MailHeader]:
        """Return the headers of the mails that S3 stored last, the newest first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM headers ORDER BY stored_at DESC LIMIT ?", (limit,)
            ).fetchall()
        return [read_header(row) for row in rows]

    def erase(self) -> int:
        """Erase all of them, from the file's free pages too; return how many there were.

        Copies of the ledger that were made earlier still have them. Takes many transactions.
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
    """Return the header in a row of the table `headers`."""
    return MailHeader(
        row["mail"],
        row["stored_at"],
        row["message_id"],
        row["sender"],
        row["recipients"],
        row["subject"],
    )
