"""The ledger's rows: the states that they can have, and how copies are written."""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from postamt_sync.mail.arrival import Evidence, Verdicts


class ObjectState(enum.StrEnum):
    """What has become of an object of the bucket."""

    WAITING = "waiting"
    """There is something left to do: fetch it, route it, or make one of its copies."""
    DELIVERED = "delivered"
    """In every mailbox that its envelope names as far as we know, or absent for that mailbox."""
    ARCHIVED = "archived"
    """In Glacier or Deep Archive, and not readable until it is restored."""
    SEALED = "sealed"
    """Only its sealed object is left, which the owner's key opens: a restore brings it back."""
    GONE = "gone"
    """Deleted from the bucket before we could read it."""
    ABSENT = "absent"
    """Absent (see DeliveryState) for every mailbox that is known to be concerned."""
    ADOPTED = "adopted"
    """Known, and deliberately not delivered."""
    QUARANTINED = "quarantined"
    """Can never be delivered as it is; a person has to decide."""
    SKIPPED = "skipped"
    """Not a mail: SES's setup notification or a folder marker."""


class DueState(enum.StrEnum):
    """When a waiting object is to be worked on."""

    HELD = "held"
    """Not until a rebuild has ended: only then is it known who lacks it and who deleted it."""
    FIRST = "first"
    """At once, before everything else: announced, newly listed, or not to wait any longer."""
    LATER = "later"
    """At `next_attempt` on the monotonic clock: a try failed, or its envelope is awaited."""
    BACKFILL = "backfill"
    """At once, when nothing else is due."""


class EnvelopeState(enum.StrEnum):
    """Whether a waiting object waits for its envelope."""

    UNKNOWN = "unknown"
    """Not decided yet."""
    AWAITED = "awaited"
    """It may still come, until `next_attempt`."""
    IN_VAIN = "in vain"
    """We have waited, or have asked the index, and do not wait any longer."""


class AbsenceState(enum.StrEnum):
    """Whether a person still has to be shown that a mail is absent."""

    NONE = "none"
    """Nothing to show: it is absent for nobody, or only for mailboxes that were shown."""
    UNSEEN = "unseen"
    """Absent for a mailbox, and nobody has looked at it yet."""
    SEEN = "seen"
    """Shown as absent for everybody, so that a mailbox named later is no news."""


class DeliveryState(enum.StrEnum):
    """What has become of a mail's copy for one mailbox."""

    WAITING = "waiting"
    PREPARED = "prepared"
    """The mail is durable in `tmp/`, and its final name is fixed."""
    DELIVERED = "delivered"
    ABSENT = "absent"
    """Not there when a lost ledger was rebuilt, and older than the newest mail that was there: most
    likely it had been delivered, and its owner has deleted it."""
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One copy of a mail: one content (`stem`, `sha256` in hex) in one mailbox.

    `edition` is the edition of the object that it counts for. That may be later than the one in its
    name: a restore makes a new edition, but only for mailboxes that have lost their copy. `maildir`
    is the root in which it was prepared, even if the configuration names another one by now.
    `prepared_at` is in seconds since 1970, `tmp_inode` the inode of the `tmp/` it was written to.
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

    `revision` counts what has happened to it. If the ledger has a later one when a step ends, the
    object stays due, so that nothing heard meanwhile is lost. `routed` is the revision that the
    deliveries fulfil, -1 before the first. `horizons` is not empty if the object was in the bucket
    when the ledger was rebuilt from file names alone: for each mailbox when S3 stored the newest
    mail that was there, in seconds since 1970. `edition` counts redeliveries and restores.
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
    horizons: Mapping[str, float] = field(default_factory=dict)
    owed: tuple[str, ...] = ()
    """Mailboxes that are to get it, whatever the horizons say: its envelope named them."""
    settled_before: bool = False
    """Whether it was settled once, and is due again because of something heard since."""

    def is_absent_for(self, mailbox: str, stored_at: float) -> bool:
        """Tell whether a mailbox that lacks this content is not to get it.

        `stored_at` is when S3 stored it, in seconds since 1970. A mailbox that is owed the mail, or
        has had it with another content, gets it.
        """
        given_or_owed = any(
            c.mailbox == mailbox and c.state in _GIVEN_OR_OWED for c in self.deliveries
        )
        if given_or_owed or mailbox in self.owed:
            return False
        return is_older(stored_at, self.horizons.get(mailbox))

    @property
    def lacks_only_prepared(self) -> bool:
        """Whether only prepared copies are left to be finished."""
        waits = any(copy.state is DeliveryState.WAITING for copy in self.deliveries)
        return self.routed == self.revision and not waits


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mail whose copies are durable in `tmp/`: what is committed before they are published.

    `failed` has the copies that could not be written, with the reasons, `absent` the mailboxes that
    are not to get one. `ask_at` is when the index is to be asked for the envelope, on the monotonic
    clock, None if not at all. `alone`: other copies of the mail are being made separately, and
    their rows stay as they are.
    """

    task: Task
    etag: str
    size: int
    last_modified: float
    evidence: Evidence
    copies: tuple[Delivery, ...]
    failed: tuple[tuple[Delivery, str], ...] = ()
    ask_at: float | None = None
    absent: tuple[str, ...] = ()
    alone: bool = False

    @property
    def mailboxes(self) -> list[str]:
        """The mailboxes whose rows are written, with a copy or without."""
        return [copy.mailbox for copy in (*self.copies, *(copy for copy, _ in self.failed))]


_GIVEN_OR_OWED = {DeliveryState.WAITING, DeliveryState.PREPARED, DeliveryState.DELIVERED}


def is_older(stored_at: float | None, horizon: float | None) -> bool:
    """Tell whether a mail is older than the newest one that was in a mailbox.

    File names have whole seconds, so of two mails of the same second neither is older. Without a
    horizon nothing is older: the mailbox had no mail of ours, and may never have got any.
    """
    return stored_at is not None and horizon is not None and int(stored_at) < int(horizon)


def put_copy(
    db: sqlite3.Connection,
    mail: str,
    copy: Delivery,
    state: DeliveryState,
    prepared_at: float | None,
    problem: str | None = None,
) -> None:
    """Write a copy in this state, replacing its row."""
    put_copies(db, [(mail, copy, problem)], state, prepared_at)


def put_copies(
    db: sqlite3.Connection,
    copies: Iterable[tuple[str, Delivery, str | None]],
    state: DeliveryState,
    prepared_at: float | None,
) -> None:
    """Write copies, each with its mail id and problem, in this state, replacing their rows."""
    db.executemany(
        "INSERT OR REPLACE INTO deliveries"
        " (mail, mailbox, stem, state, maildir, folder, name, sha256, tmp_inode, prepared_at,"
        " problem, edition) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
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
            )
            for mail, copy, problem in copies
        ],
    )


def wait_for_copy(db: sqlite3.Connection, task: Task, mailbox: str, reason: str) -> None:
    """Note why a mailbox has no copy yet, in the row of the missing copy or a new one."""
    noted = db.execute(
        "UPDATE deliveries SET problem = ?"
        " WHERE mail = ? AND mailbox = ? AND state IN ('waiting', 'prepared')",
        (reason, task.mail, mailbox),
    )
    if not noted.rowcount:
        copy = Delivery(mailbox, "", DeliveryState.WAITING)
        put_copy(db, task.mail, copy, DeliveryState.WAITING, None, reason)


def mind_another_etag(db: sqlite3.Connection, read: Iterable[tuple[Task, str]]) -> None:
    """Raise the revision of objects for which another ETag than the one read was heard."""
    db.executemany(
        "UPDATE objects SET revision = revision + 1"
        " WHERE mail = ? AND revision = ? AND etag IS NOT ? AND etag != ?",
        [(task.mail, task.revision, task.etag, etag) for task, etag in read],
    )


def close_if_done(db: sqlite3.Connection, mails: Iterable[str], now: float) -> None:
    """Close the objects whose deliveries fulfil their revision and are all made."""
    db.executemany(
        "UPDATE objects SET state = CASE WHEN"
        " EXISTS (SELECT 1 FROM deliveries a WHERE a.mail = objects.mail AND a.state = 'absent')"
        " AND NOT EXISTS"
        " (SELECT 1 FROM deliveries g WHERE g.mail = objects.mail AND g.state = 'delivered')"
        " THEN 'absent' ELSE 'delivered' END,"
        " settled_at = ?, problem = NULL, envelope = 'unknown', attempts = 0"
        " WHERE mail = ? AND routed = revision AND state = 'waiting' AND NOT EXISTS"
        " (SELECT 1 FROM deliveries d WHERE d.mail = objects.mail"
        " AND d.state IN ('waiting', 'prepared'))",
        [(now, mail) for mail in mails],
    )
