"""Reading tasks from the rows that all tables have of an object."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from postamt_sync.ledger.rows import Delivery, DeliveryState, EnvelopeState, Task
from postamt_sync.mail.arrival import Verdicts


def read_task(db: sqlite3.Connection, row: sqlite3.Row) -> Task:
    """Return the task for one row of `objects`."""
    return read_tasks(db, [row])[0]


def read_tasks(db: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> list[Task]:
    """Return the tasks for rows of `objects`, in their order."""
    mails = json.dumps([row["mail"] for row in rows])
    recipients: dict[str, list[str]] = {}
    for mail, address in db.execute(
        "SELECT mail, address FROM recipients"
        " WHERE mail IN (SELECT value FROM json_each(?)) ORDER BY address",
        (mails,),
    ):
        recipients.setdefault(mail, []).append(address)
    owed: dict[str, list[str]] = {}
    for mail, mailbox in db.execute(
        "SELECT mail, mailbox FROM owed"
        " WHERE mail IN (SELECT value FROM json_each(?)) ORDER BY mailbox",
        (mails,),
    ):
        owed.setdefault(mail, []).append(mailbox)
    copies: dict[str, list[Delivery]] = {}
    for row in db.execute(
        "SELECT * FROM deliveries WHERE mail IN (SELECT value FROM json_each(?)) ORDER BY mailbox",
        (mails,),
    ):
        copies.setdefault(row["mail"], []).append(_read_copy(row))
    horizons = read_horizons(db) if any(row["from_names"] for row in rows) else {}
    return [
        Task(
            mail=(mail := row["mail"]),
            bucket=row["bucket"],
            key=row["key"],
            revision=row["revision"],
            routed=row["routed"],
            etag=row["etag"],
            size=row["size"],
            last_modified=row["last_modified"],
            edition=row["edition"],
            attempts=row["attempts"],
            grace_started=row["envelope"] != EnvelopeState.UNKNOWN,
            settled_before=row["settled_at"] is not None,
            recipients=tuple(recipients.get(mail, ())),
            verdicts=Verdicts(**json.loads(row["verdicts"])) if row["verdicts"] else Verdicts(),
            deliveries=tuple(copies.get(mail, ())),
            horizons=horizons if row["from_names"] else {},
            owed=tuple(owed.get(mail, ())),
        )
        for row in rows
    ]


def _read_copy(row: sqlite3.Row) -> Delivery:
    return Delivery(
        mailbox=row["mailbox"],
        stem=row["stem"],
        state=DeliveryState(row["state"]),
        maildir=row["maildir"],
        folder=row["folder"],
        name=row["name"],
        sha256=row["sha256"],
        prepared_at=row["prepared_at"],
        tmp_inode=row["tmp_inode"],
        edition=row["edition"],
    )


def read_horizons(db: sqlite3.Connection) -> dict[str, float]:
    """Return for each mailbox the horizon: see `Task.horizons`."""
    return dict(db.execute("SELECT mailbox, newest FROM horizons").fetchall())
