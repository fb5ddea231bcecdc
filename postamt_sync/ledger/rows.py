"""The ledger's rows as the rest of the program sees them, and the states they go through."""

from __future__ import annotations

import enum
import json
import sqlite3
from dataclasses import dataclass

from postamt_sync.mail.envelope import Verdicts


class ObjectState(enum.StrEnum):
    """Where an object of the bucket stands."""

    WAITING = "waiting"
    """Something is to be done: fetch, route, or one of its deliveries."""
    DELIVERED = "delivered"
    """In every mailbox that its envelope, as far as known, names."""
    ARCHIVED = "archived"
    """In Glacier or Deep Archive: not readable before it is restored."""
    GONE = "gone"
    """Deleted from the bucket before we could read it."""
    ABSENT = "absent"
    """Delivered once, as a lost ledger's Maildirs suggest, and deleted by its owner since."""
    ADOPTED = "adopted"
    """Known and deliberately not delivered."""
    QUARANTINED = "quarantined"
    """Can never be delivered as it is; a person decides."""
    SKIPPED = "skipped"
    """No mail: SES's setup notification or a folder marker."""


class DeliveryState(enum.StrEnum):
    """Where one mail stands in one mailbox."""

    WAITING = "waiting"
    PREPARED = "prepared"
    """The mail is durable in `tmp/`, its final name is fixed."""
    DELIVERED = "delivered"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One copy of a mail: its content (`stem`, `sha256`) in one mailbox.

    `edition` is the one of the object that it stands for, which may be a later one than its name
    tells: a restore brings an edition only to mailboxes that have lost theirs. `maildir` is the
    root it was prepared in, which a changed configuration does not move.
    `prepared_at` is in seconds since 1970; `tmp_inode` says which directory its `tmp/` was.
    """

    mailbox: str
    stem: str
    state: DeliveryState
    maildir: str = ""
    folder: str = ""
    name: str = ""
    sha256: str = ""
    prepared_at: float | None = None
    tmp_inode: int = 0
    edition: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """One object that is due, with all that is known of it.

    `revision` counts what happened to it; a step that ends under an older revision than the
    ledger's leaves the object due, so that nothing heard meanwhile is lost. `routed` is the
    revision that the deliveries fulfil.
    """

    mail: str
    bucket: str
    key: str
    revision: int
    routed: int
    etag: str | None
    size: int | None
    last_modified: float | None
    edition: int
    attempts: int
    grace_started: bool
    recipients: tuple[str, ...]
    verdicts: Verdicts
    deliveries: tuple[Delivery, ...]

    @property
    def lacks_only_prepared(self) -> bool:
        """Whether all that is left to do is to finish copies that are prepared."""
        waits = any(copy.state is DeliveryState.WAITING for copy in self.deliveries)
        return self.routed == self.revision and not waits


def read_task(db: sqlite3.Connection, row: sqlite3.Row) -> Task:
    """Return the task of one row of `objects`."""
    recipients = db.execute(
        "SELECT address FROM recipients WHERE mail = ? ORDER BY address", (row["mail"],)
    )
    deliveries = db.execute(
        "SELECT * FROM deliveries WHERE mail = ? ORDER BY mailbox", (row["mail"],)
    )
    return Task(
        mail=row["mail"],
        bucket=row["bucket"],
        key=row["key"],
        revision=row["revision"],
        routed=row["routed"],
        etag=row["etag"],
        size=row["size"],
        last_modified=row["last_modified"],
        edition=row["edition"],
        attempts=row["attempts"],
        grace_started=bool(row["grace"]),
        recipients=tuple(address for (address,) in recipients),
        verdicts=Verdicts(**json.loads(row["verdicts"])) if row["verdicts"] else Verdicts(),
        deliveries=tuple(
            Delivery(
                mailbox=d["mailbox"],
                stem=d["stem"],
                state=DeliveryState(d["state"]),
                maildir=d["maildir"],
                folder=d["folder"],
                name=d["name"],
                sha256=d["sha256"],
                prepared_at=d["prepared_at"],
                tmp_inode=d["tmp_inode"],
                edition=d["edition"],
            )
            for d in deliveries
        ),
    )
