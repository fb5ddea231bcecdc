"""Traces: names of ours in Maildirs, from which a lost ledger is rebuilt.

A name tells which object it was by a hash of bucket and key, but not the key. It is kept as a trace
until a listing or an announcement brings the object that it belongs to, which then claims it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postamt_sync.mail.arrival import etag_hash


@dataclass(frozen=True, slots=True)
class FoundCopy:
    """One copy of a mail, as its file name tells.

    `stored_at` is when S3 stored the object, in seconds since 1970. A `draft` lies in `tmp/`: its
    delivery had begun and was not finished.
    """

    mail: str
    mailbox: str
    stem: str
    maildir: str
    folder: str
    name: str
    etag_hash: str
    edition: int
    stored_at: float
    draft: bool = False


def knows_all(db: sqlite3.Connection, names: Sequence[tuple[str, str]]) -> bool:
    """Tell whether each (mail id, stem) is known, as a delivery to whatever mailbox or as a trace.

    A mail that its owner copied to someone else keeps its name there.
    """
    row = db.execute(
        "WITH named AS (SELECT json_extract(value, '$[0]') AS mail,"
        " json_extract(value, '$[1]') AS stem FROM json_each(?))"
        " SELECT 1 FROM named n WHERE"
        " NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.mail = n.mail AND d.stem = n.stem)"
        " AND NOT EXISTS (SELECT 1 FROM traces t WHERE t.mail = n.mail AND t.stem = n.stem)"
        " LIMIT 1",
        (json.dumps(names),),
    ).fetchone()
    return row is None


def keep(db: sqlite3.Connection, found_copies: Iterable[FoundCopy]) -> None:
    """Keep traces, except of copies that the ledger has as delivered."""
    db.executemany(
        "INSERT OR IGNORE INTO traces SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10"
        " WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE mail = ?1 AND mailbox = ?2"
        " AND stem = ?3 AND state = 'delivered')",
        [
            (
                trace.mail,
                trace.mailbox,
                trace.stem,
                trace.maildir,
                trace.folder,
                trace.name,
                trace.etag_hash,
                trace.edition,
                trace.stored_at,
                trace.draft,
            )
            for trace in found_copies
        ],
    )


def claim(db: sqlite3.Connection, mail: str) -> bool:
    """Turn the traces of an object that has a row into deliveries; False if it has no traces.

    A copy stands for its own mailbox and for no other. A mailbox with a draft alone is owed its
    copy: that it was begun proves that the envelope named it, and that it was never finished.
    """
    rows = db.execute("SELECT * FROM traces WHERE mail = ?", (mail,)).fetchall()
    if not rows:
        return False
    copies = [row for row in rows if not row["draft"]]
    for row in copies:
        db.execute(
            "INSERT INTO deliveries (mail, mailbox, stem, state, maildir, folder, name,"
            " delivered_at) VALUES (?, ?, ?, 'delivered', ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET state = 'delivered', delivered_at = excluded.delivered_at,"
            " problem = NULL",
            (
                mail,
                *(row[column] for column in ("mailbox", "stem", "maildir", "folder", "name")),
                row["stored_at"],
            ),
        )
    if copies:
        db.executemany(
            "DELETE FROM deliveries WHERE mail = ? AND mailbox = ? AND state = 'absent'",
            [(mail, row["mailbox"]) for row in copies],
        )
        db.execute(
            "UPDATE objects SET edition = max(edition, ?) WHERE mail = ?",
            (max(row["edition"] for row in copies), mail),
        )
        # Which of them a redelivery or a restore brought is forgotten: each counts for the present.
        db.execute(
            "UPDATE deliveries SET edition = (SELECT edition FROM objects WHERE mail = ?1)"
            " WHERE mail = ?1 AND state = 'delivered'",
            (mail,),
        )
    drafts = [(mail, row["mailbox"]) for row in rows if row["draft"]]
    db.executemany("INSERT OR IGNORE INTO owed VALUES (?, ?)", drafts)
    db.executemany(
        "INSERT OR REPLACE INTO deliveries (mail, mailbox, stem, state)"
        " SELECT ?1, ?2, '', 'waiting' WHERE NOT EXISTS"
        " (SELECT 1 FROM deliveries WHERE mail = ?1 AND mailbox = ?2 AND state != 'absent')",
        drafts,
    )
    db.execute("DELETE FROM traces WHERE mail = ?", (mail,))
    return True


def is_copied(db: sqlite3.Connection, mail: str, etag: str) -> bool:
    """Tell whether a delivered copy of the object is of this content, as its name tells."""
    row = db.execute(
        "SELECT 1 FROM deliveries WHERE mail = ? AND state = 'delivered' AND instr(stem, ?) > 0",
        (mail, f"E{etag_hash(etag)}"),
    ).fetchone()
    return row is not None
