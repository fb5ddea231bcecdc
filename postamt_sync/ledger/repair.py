"""What a person may do to the ledger while the daemon runs: short transactions, no lock."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from postamt_sync.errors import UsageError
from postamt_sync.events import printable
from postamt_sync.ledger.absences import forget_absence
from postamt_sync.ledger.rows import ObjectState
from postamt_sync.ledger.store import Store
from postamt_sync.mail.arrival import is_key


@dataclass(frozen=True, slots=True)
class ObjectDetails:
    """What the ledger knows of one object. Times are in seconds since 1970."""

    mail: str
    bucket: str
    key: str
    state: str
    source: str
    size: int | None
    first_seen: float
    last_modified: float | None
    evidence: str | None
    attempts: int
    problem: str | None
    mailboxes: tuple[str, ...]
    settled_at: float | None = None


class Repair:
    """Shows and changes single objects, named by key, last part of the key, or mail id.

    Raises UsageError if a name means no object, or several.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def quarantined(self, limit: int | None = None) -> list[ObjectDetails]:
        """Return up to `limit` quarantined objects (None: all), the newest first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM objects WHERE state = 'quarantined' ORDER BY settled_at DESC"
                " LIMIT ?",
                (-1 if limit is None else limit,),
            ).fetchall()
            return [_known(db, row) for row in rows]

    def find(self, name: str) -> ObjectDetails:
        """Return the object that `name` means."""
        with self._store.reading() as db:
            return _known(db, _find(db, name))

    def retry_quarantined(self, name: str | None = None) -> int:
        """Make one quarantined object due again, or all of them (None); return how many."""
        with self._store.writing() as db:
            mails = None if name is None else _quarantined(db, name)
            cursor = db.execute(
                "UPDATE objects SET state = 'waiting', revision = revision + 1, attempts = 0,"
                " due = 'first', next_attempt = 0"
                " WHERE state = 'quarantined' AND (? IS NULL OR mail = ?)",
                (mails, mails),
            )
            return cursor.rowcount

    def leave_quarantined(self, name: str) -> None:
        """Decide that one quarantined object is not to be delivered."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE objects SET state = 'adopted', revision = revision + 1, problem = NULL"
                " WHERE mail = ?",
                (_quarantined(db, name),),
            )

    def redeliver(self, name: str) -> ObjectDetails:
        """Have an object delivered once more to all its mailboxes, under new file names.

        The copies that are there stay where they are.
        """
        with self._store.writing() as db:
            row = _find(db, name)
            if row["state"] == ObjectState.SKIPPED:
                raise UsageError(
                    f"{printable(name)} is not a mail, but SES's setup notification or a folder "
                    "marker.",
                    "Give the key of a mail.",
                )
            db.execute(
                "UPDATE objects SET state = 'waiting', revision = revision + 1,"
                " edition = edition + 1, attempts = 0, problem = NULL, etag = NULL,"
                " envelope = 'unknown', due = 'first', next_attempt = 0 WHERE mail = ?",
                (row["mail"],),
            )
            forget_absence(db, row["mail"])
            return _known(db, _find(db, row["mail"]))


def _quarantined(db: sqlite3.Connection, name: str) -> str:
    """Return the mail id of a quarantined object; raises UsageError if it is not quarantined."""
    row = _find(db, name)
    if row["state"] != ObjectState.QUARANTINED:
        raise UsageError(
            f"{printable(name)} is not quarantined, it is {row['state']}.",
            "To see what is: postamt-sync quarantine list",
        )
    mail: str = row["mail"]
    return mail


def _find(db: sqlite3.Connection, name: str) -> sqlite3.Row:
    rows: list[sqlite3.Row] = []
    if is_key(name):  # a command line can hold bytes that no key can have
        rows = db.execute(
            "SELECT * FROM objects WHERE mail = ? OR key = ? LIMIT 2", (name, name)
        ).fetchall()
        rows = (
            rows
            or db.execute(
                "SELECT * FROM objects WHERE substr(key, -?) = ? LIMIT 2",
                (len(name) + 1, f"/{name}"),
            ).fetchall()
        )
    if len(rows) == 1:
        return rows[0]
    if rows:
        raise UsageError(
            f"Several mails have the name {printable(name)}.",
            "Give the whole key, or the mail id.",
        )
    raise UsageError(
        f"The ledger has no mail with the name {printable(name)}.",
        "Give the S3 key, its last part, or the mail id from a log line or file name. "
        "To look for new mail: postamt-sync sync",
    )


def _known(db: sqlite3.Connection, row: sqlite3.Row) -> ObjectDetails:
    mailboxes = db.execute(
        "SELECT DISTINCT mailbox FROM deliveries WHERE mail = ? AND state != 'absent'"
        " ORDER BY mailbox",
        (row["mail"],),
    )
    return ObjectDetails(
        mail=row["mail"],
        bucket=row["bucket"],
        key=row["key"],
        state=row["state"],
        source=row["source"],
        size=row["size"],
        first_seen=row["first_seen"],
        last_modified=row["last_modified"],
        evidence=row["evidence"],
        attempts=row["attempts"],
        problem=row["problem"],
        mailboxes=tuple(mailbox for (mailbox,) in mailboxes),
        settled_at=row["settled_at"],
    )
