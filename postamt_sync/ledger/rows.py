"""The ledger's rows: as the rest of the program sees them, and as the courier writes them."""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from postamt_sync.mail.arrival import Evidence, Verdicts


class ObjectState(enum.StrEnum):
    """Where an object of the bucket stands."""

    WAITING = "waiting"
    """Something is to be done: fetch, route, or one of its deliveries."""
    DELIVERED = "delivered"
    """In every mailbox that its envelope, as far as known, names, or absent for it."""
    ARCHIVED = "archived"
    """In Glacier or Deep Archive: not readable before it is restored."""
    SEALED = "sealed"
    """Only its sealed object is left, which the owner's key opens: it comes by a restore."""
    GONE = "gone"
    """Deleted from the bucket before we could read it."""
    ABSENT = "absent"
    """Absent for every mailbox that is known to be concerned: see the state of deliveries."""
    ADOPTED = "adopted"
    """Known and deliberately not delivered."""
    QUARANTINED = "quarantined"
    """Can never be delivered as it is; a person decides."""
    SKIPPED = "skipped"
    """No mail: SES's setup notification or a folder marker."""


class DueState(enum.StrEnum):
    """When a waiting object is to be worked on."""

    HELD = "held"
    """Not before a rebuild has ended, which knows who lacks it, and who deleted it at home."""
    FIRST = "first"
    """At once, before all else: announced, new since the last look, or hurried."""
    LATER = "later"
    """At `next_attempt` on the monotonic clock: tried in vain, or its envelope is awaited."""
    BACKFILL = "backfill"
    """At once, when nothing else is due."""


class EnvelopeState(enum.StrEnum):
    """Whether a waiting object waits for its envelope."""

    UNKNOWN = "unknown"
    """Nothing was decided yet."""
    AWAITED = "awaited"
    """It may still come, until `next_attempt`."""
    IN_VAIN = "in vain"
    """It was waited for, or the index was asked: nobody has to wait any more."""


class AbsenceState(enum.StrEnum):
    """Whether a person still has to be shown that a mail is absent."""

    NONE = "none"
    """Nothing to show: it is absent for nobody, or only for mailboxes that were shown."""
    UNSEEN = "unseen"
    """Absent for a mailbox, and nobody has looked at it yet."""
    SEEN = "seen"
    """Shown as absent for everybody, so that a mailbox named later is no news."""


class DeliveryState(enum.StrEnum):
    """Where one mail stands in one mailbox."""

    WAITING = "waiting"
    PREPARED = "prepared"
    """The mail is durable in `tmp/`, its final name is fixed."""
    DELIVERED = "delivered"
    ABSENT = "absent"
    """Not there when a lost ledger was rebuilt, and older than the newest mail that was: most
    likely delivered once, and deleted by its owner since."""
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
    revision that the deliveries fulfil. `horizons` are not empty for an object that was in the
    bucket when the ledger was rebuilt from names alone: by mailbox when S3 stored the newest mail
    that was there, in seconds since 1970.
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
    """Mailboxes that a lost ledger was about to give it to: the envelope named them."""
    settled_before: bool = False
    """Whether it was brought to an end once, and is due again for what was heard since."""

    def is_absent_for(self, mailbox: str, stored_at: float) -> bool:
        """Tell whether a mailbox that lacks this content is not to be given it.

        `stored_at` is when S3 stored it, in seconds since 1970. What is owed to the mailbox
        already, or was there in another content, is to be delivered.
        """
        given_or_owed = any(
            c.mailbox == mailbox and c.state in _GIVEN_OR_OWED for c in self.deliveries
        )
        if given_or_owed or mailbox in self.owed:
            return False
        return is_older(stored_at, self.horizons.get(mailbox))

    @property
    def lacks_only_prepared(self) -> bool:
        """Whether all that is left to do is to finish copies that are prepared."""
        waits = any(copy.state is DeliveryState.WAITING for copy in self.deliveries)
        return self.routed == self.revision and not waits


@dataclass(frozen=True, slots=True)
class Prepared:
    """A mail whose copies lie durable in `tmp/`: what is committed before they are published.

    `failed` names the mailboxes whose copy could not be written, with the reason, `absent` those
    that are not to be given one. `ask_at` is when the index is to be asked for the envelope, on the
    monotonic clock; None: not at all. `alone`: other copies of the mail are under way by
    themselves, whose rows stay as they are.
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
        """Those whose rows are written, with a copy or without."""
        return [copy.mailbox for copy in (*self.copies, *(copy for copy, _ in self.failed))]


_GIVEN_OR_OWED = {DeliveryState.WAITING, DeliveryState.PREPARED, DeliveryState.DELIVERED}


def is_older(stored_at: float | None, horizon: float | None) -> bool:
    """Tell whether a mail is older than the newest that lay in a mailbox.

    Names know whole seconds: of two mails of one second none is older. Without a horizon, because
    nothing of ours lay there, nothing is: it may never have been given anything.
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
    """Write a copy in this state, in the place of the row that it had."""
    put_copies(db, [(mail, copy, problem)], state, prepared_at)


def put_copies(
    db: sqlite3.Connection,
    copies: Iterable[tuple[str, Delivery, str | None]],
    state: DeliveryState,
    prepared_at: float | None,
) -> None:
    """Write copies of mails (id, copy, problem) in this state, in the place of their rows."""
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
    """Note why a mailbox has no copy yet, at the row that says so already or at a new one."""
    noted = db.execute(
        "UPDATE deliveries SET problem = ?"
        " WHERE mail = ? AND mailbox = ? AND state IN ('waiting', 'prepared')",
        (reason, task.mail, mailbox),
    )
    if not noted.rowcount:
        copy = Delivery(mailbox, "", DeliveryState.WAITING)
        put_copy(db, task.mail, copy, DeliveryState.WAITING, None, reason)


def mind_another_etag(db: sqlite3.Connection, read: Iterable[tuple[Task, str]]) -> None:
    """Move revisions on where an ETag other than the one just read was heard meanwhile."""
    db.executemany(
        "UPDATE objects SET revision = revision + 1"
        " WHERE mail = ? AND revision = ? AND etag IS NOT ? AND etag != ?",
        [(task.mail, task.revision, task.etag, etag) for task, etag in read],
    )


def close_if_done(db: sqlite3.Connection, mails: Iterable[str], now: float) -> None:
    """Close objects whose deliveries fulfil their revision and of which none is left to be made."""
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
