"""Rows of deliveries, and what they mean for their object, as the courier's steps write them."""

from __future__ import annotations

import sqlite3

from postamt_sync.ledger.rows import Delivery, DeliveryState, Task


def put_copy(
    db: sqlite3.Connection,
    mail: str,
    copy: Delivery,
    state: DeliveryState,
    prepared_at: float | None,
    problem: str | None = None,
) -> None:
    """Write a copy in this state, in the place of the row that it had."""
    db.execute(
        "INSERT OR REPLACE INTO deliveries"
        " (mail, mailbox, stem, state, maildir, folder, name, sha256, tmp_inode, prepared_at,"
        " problem, edition) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            mail,
            copy.mailbox,
            copy.stem,
            state,
            copy.maildir,
            copy.folder,
            copy.name,
            copy.sha256,
            copy.tmp_inode,
            prepared_at,
            problem,
            copy.edition,
        ),
    )


def wait_for_copy(db: sqlite3.Connection, task: Task, mailbox: str, reason: str) -> None:
    """Note why a mailbox has no copy yet, at the row that says so already or at a new one."""
    noted = db.execute(
        "UPDATE deliveries SET problem = ?, attempts = attempts + 1"
        " WHERE mail = ? AND mailbox = ? AND state IN ('waiting', 'prepared')",
        (reason, task.mail, mailbox),
    )
    if not noted.rowcount:
        copy = Delivery(mailbox, "", DeliveryState.WAITING)
        put_copy(db, task.mail, copy, DeliveryState.WAITING, None, reason)


def mind_another_etag(db: sqlite3.Connection, task: Task, etag: str) -> None:
    """Move the revision on where an ETag other than the one just read was heard meanwhile."""
    db.execute(
        "UPDATE objects SET revision = revision + 1"
        " WHERE mail = ? AND revision = ? AND etag IS NOT ? AND etag != ?",
        (task.mail, task.revision, task.etag, etag),
    )


def close_if_done(db: sqlite3.Connection, task: Task, now: float) -> None:
    """Close an object whose deliveries fulfil its revision and of which none is left to be made."""
    db.execute(
        "UPDATE objects SET state = CASE WHEN"
        " EXISTS (SELECT 1 FROM deliveries a WHERE a.mail = objects.mail AND a.state = 'absent')"
        " AND NOT EXISTS"
        " (SELECT 1 FROM deliveries g WHERE g.mail = objects.mail AND g.state = 'delivered')"
        " THEN 'absent' ELSE 'delivered' END,"
        " settled_at = ?, problem = NULL, envelope = 'unknown', attempts = 0"
        " WHERE mail = ? AND routed = revision AND state = 'waiting' AND NOT EXISTS"
        " (SELECT 1 FROM deliveries d WHERE d.mail = objects.mail"
        " AND d.state IN ('waiting', 'prepared'))",
        (now, task.mail),
    )
