"""Merging into a ledger what another one knows that was in use beside it.

Nothing known is taken back. What the other one was asked for, or has delivered, counts here too.
Looking at a mail once more costs one request and delivers nothing twice.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from postamt_sync.ledger.backup import copy_ledger
from postamt_sync.ledger.store import PARTS, Store

_LATER = """
    o.state = 'waiting' AND (o.revision > objects.revision OR o.edition > objects.edition)
    AND o.bucket = objects.bucket AND o.key = objects.key
"""
"""A person or a notification has made it due there and not here."""

_ENVELOPE_IS_NEWS = """
    objects.state IN ('waiting', 'delivered', 'gone') AND EXISTS (
        SELECT 1 FROM other.recipients r WHERE r.mail = objects.mail AND NOT EXISTS (
            SELECT 1 FROM main.recipients m WHERE m.mail = r.mail AND m.address = r.address))
"""

_MAKE_DUE = f"""
    UPDATE main.objects SET state = 'waiting', revision = revision + 1, envelope = 'unknown',
        due = CASE due WHEN 'held' THEN due ELSE 'first' END, next_attempt = 0
        WHERE {_ENVELOPE_IS_NEWS} OR EXISTS (SELECT 1 FROM other.objects o WHERE {_LATER})
"""  # noqa: S608  two constants of this module

_ADD = (
    """
    UPDATE main.objects SET edition = o.edition FROM other.objects o
        WHERE o.bucket = objects.bucket AND o.key = objects.key AND o.edition > objects.edition
    """,
    # A delivery that was only begun there has left a file in the Maildir, where it will be found.
    """
    INSERT OR REPLACE INTO main.deliveries SELECT * FROM other.deliveries d
        WHERE (d.state = 'delivered'
            OR NOT EXISTS (SELECT 1 FROM main.objects o WHERE o.mail = d.mail))
        AND NOT EXISTS (SELECT 1 FROM main.deliveries m
            WHERE m.mail = d.mail AND m.mailbox = d.mailbox AND m.stem = d.stem
            AND m.state = 'delivered')
    """,
    """
    UPDATE main.maildirs SET generation = max(maildirs.generation, o.generation),
        marker = CASE maildirs.marker WHEN '' THEN o.marker ELSE maildirs.marker END
        FROM other.maildirs o WHERE o.root = maildirs.root AND maildirs.marker IN ('', o.marker)
    """,
    """
    INSERT INTO main.notices (at, source, reason, text)
        SELECT at, source, reason, text FROM other.notices n WHERE NOT EXISTS
        (SELECT 1 FROM main.notices m WHERE m.at = n.at AND m.text = n.text)
    """,
)
_WHOLE_TABLES = ("recipients", "owed", "maildirs", "restores", "alerts", "troubles")


def merge(store: Store, other: Path) -> int:
    """Add what the ledger at `other` knows; return how many objects are new, or due because of it.

    `other` is not changed. Durable on return. Raises LedgerDamagedError if it is not a ledger or
    was written by a newer version, and TryLaterError if a disk refuses.
    """
    scratch = store.path.with_name(f"{store.path.name}.other")
    try:
        copy_ledger(other, scratch)
        Store(scratch).close()  # migrates it, if it is older
        with store.writing_from(scratch) as db:
            due = db.execute(_MAKE_DUE).rowcount
            for statement in _ADD:
                db.execute(statement)
            new = db.execute(_all_of("objects")).rowcount
            for table in _WHOLE_TABLES:
                db.execute(_all_of(table))
        return due + new
    finally:
        for part in PARTS:
            with contextlib.suppress(OSError):
                scratch.with_name(f"{scratch.name}{part}").unlink(missing_ok=True)


def _all_of(table: str) -> str:
    return f"INSERT OR IGNORE INTO main.{table} SELECT * FROM other.{table}"  # noqa: S608
