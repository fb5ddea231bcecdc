"""Short words for what tests do to a ledger."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from postamt_sync.ledger import Delivery, DeliveryState, Ledger, ObjectState, Prepared, Task
from postamt_sync.ledger.store import FILE_NAME
from postamt_sync.mail.arrival import Arrival, Envelope, Evidence, Source, Verdicts

BUCKET = "mail"
KEY = "incoming/a"
LATER = 1e12
"""A moment on the monotonic clock at which everything is due."""


def receipt(
    *recipients: str, key: str = KEY, source: Source = Source.WEBHOOK, **verdicts: str
) -> Arrival:
    """What SES says: the envelope, and nothing of the object."""
    return Arrival(
        BUCKET, key, source, envelope=Envelope(recipients, verdicts=Verdicts(**verdicts))
    )


def event(etag: str = "e1", key: str = KEY, size: int = 100) -> Arrival:
    """What S3 says: ETag and size, but no time."""
    return Arrival(BUCKET, key, Source.WEBHOOK, etag=etag, size=size)


def listing(
    etag: str = "e1",
    key: str = KEY,
    source: Source = Source.RECONCILE,
    storage_class: str = "STANDARD",
    restored: bool = False,
    size: int = 100,
    last_modified: float = 1000.0,
) -> Arrival:
    """What a listing says: everything but the envelope."""
    return Arrival(
        BUCKET,
        key,
        source,
        etag=etag,
        size=size,
        last_modified=last_modified,
        storage_class=storage_class,
        restored=restored,
    )


def twin(etag: str = "e1", key: str = KEY) -> Arrival:
    """What is known of an object when only its copy under the recent prefix was listed."""
    return Arrival(BUCKET, key, Source.POLL, etag=etag)


def due(ledger: Ledger, now: float = LATER) -> list[str]:
    """The keys that are due, in the order in which they come."""
    return [task.key for task in ledger.work.due(now, 1000, ())]


def take(ledger: Ledger, key: str = KEY) -> Task:
    """What the courier gets for this key, which must be due."""
    (task,) = [task for task in ledger.work.due(LATER, 1000, ()) if task.key == key]
    return task


def copy(mailbox: str = "anna", stem: str = "s1", sha256: str = "c1") -> Delivery:
    return Delivery(
        mailbox, stem, DeliveryState.PREPARED, f"/mail/{mailbox}", "", f"{stem},S=1", sha256
    )


def prepared(
    task: Task,
    *copies: Delivery,
    etag: str = "e1",
    failed: tuple[tuple[Delivery, str], ...] = (),
) -> Prepared:
    return Prepared(task, etag, 100, 1000.0, Evidence.RECEIPT, copies, failed)


def failing(mailbox: str, reason: str = "its disk is not mounted") -> tuple[Delivery, str]:
    return Delivery(mailbox, "", DeliveryState.WAITING), reason


def deliver(ledger: Ledger, task: Task, *copies: Delivery, etag: str = "e1") -> None:
    """Go through steps 2 and 4 for these copies."""
    ledger.work.prepare([prepared(task, *copies, etag=etag)])
    ledger.work.settle([(task, copies)])


def state(ledger: Ledger, key: str = KEY) -> ObjectState:
    return ObjectState(ledger.repair.find(key).state)


def bring_to(ledger: Ledger, wanted: ObjectState, key: str = KEY) -> None:
    """Make an object that is known by its ETag e1 and stands in this state."""
    match wanted:
        case ObjectState.ADOPTED:
            ledger.arrivals.record([listing(key=key)], adopt=True)
        case ObjectState.WAITING:
            ledger.arrivals.record([listing(key=key)])
        case ObjectState.DELIVERED:
            ledger.arrivals.record([listing(key=key)])
            deliver(ledger, take(ledger, key), copy())
        case _:
            ledger.arrivals.record([listing(key=key)])
            ledger.work.end(take(ledger, key), wanted, "a reason")
    assert state(ledger, key) is wanted


def row(state_dir: Path, key: str = KEY) -> dict[str, Any]:
    """All that the ledger's file says of an object."""
    return rows(state_dir, "objects", "key", key)[0]


def copies(state_dir: Path, mail: str) -> list[dict[str, Any]]:
    return rows(state_dir, "deliveries", "mail", mail)


def rows(state_dir: Path, table: str, column: str, value: str) -> list[dict[str, Any]]:
    connection = sqlite3.connect(state_dir / FILE_NAME)
    connection.row_factory = sqlite3.Row
    try:
        found = connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,))
        return [dict(each) for each in found]
    finally:
        connection.close()
