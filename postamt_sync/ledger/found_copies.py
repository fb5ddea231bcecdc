"""File names of ours that were found in Maildirs, from which a lost ledger is rebuilt.

A name identifies its object by a hash of bucket and key, but does not hold the key. It is kept in
the table `traces` until a listing or a notification brings the object, which then claims it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postamt_sync.mail.arrival import etag_hash


@dataclass(frozen=True, slots=True)
class FoundCopy:
    """One copy of a mail, according to its file name.

    `stored_at` is when S3 stored the object, in seconds since 1970. A `draft` is in `tmp/`: its
    delivery was begun and not finished.
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
    """Tell whether every (mail id, stem) is known, as a delivery to any mailbox or as a found copy.

    Any mailbox, because a mail that its owner copies to somebody else keeps its name.
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
    """Keep found copies, except those that the ledger has as delivered."""
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
    """Turn an object's found copies into deliveries; False if there are none. It must have a row.

    A copy counts for its own mailbox only. A mailbox that has nothing but a draft is owed its copy:
    the draft proves that the envelope named the mailbox.
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
        # Which redelivery or restore brought each of them is not known: all count for the present.
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
    """Tell whether a delivered copy of the object has this content, according to its name."""
    row = db.execute(
        "SELECT 1 FROM deliveries WHERE mail = ? AND state = 'delivered' AND instr(stem, ?) > 0",
        (mail, f"E{etag_hash(etag)}"),
    ).fetchone()
    return row is not None
