"""What a sealed object that was listed instead of its plain one means for the ledger."""

from __future__ import annotations

import sqlite3

from postamt_sync.ledger.rows import ObjectState
from postamt_sync.mail.arrival import Arrival


def is_superseded(arrival: Arrival, row: sqlite3.Row) -> bool:
    """Tell whether a sealed object has an older content than the one known under its key."""
    known, sealed = row["last_modified"], arrival.last_modified
    another = row["etag"] is not None and row["etag"] != arrival.etag
    return another and known is not None and sealed is not None and sealed <= known


def note_sealed(db: sqlite3.Connection, arrival: Arrival, state: ObjectState) -> None:
    """Note that an object that was gone, or had another content, is there in sealed form."""
    if state is not ObjectState.SEALED or arrival.etag is not None:
        db.execute(
            "UPDATE objects SET state = 'sealed', revision = revision + 1, problem = NULL"
            " WHERE bucket = ? AND key = ? AND state NOT IN ('skipped', 'sealed')",
            (arrival.bucket, arrival.key),
        )
