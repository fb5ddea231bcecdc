"""Incidents that a person should hear of, and the alerts (mails that we write) that report them.

An event counts once, however often it is noticed. A lasting incident is reported again every day
until it is over. An alert is written in the transaction that marks its incidents as reported, so a
crash leaves both or neither. Its delivery is a row among the other deliveries.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from postamt_sync.ledger.rows import Task
from postamt_sync.ledger.store import Store
from postamt_sync.ledger.task_rows import read_task
from postamt_sync.mail.arrival import mail_id

OWN = ":alerts"
"""What an alert has in the place of a mail's bucket. No bucket can have this name."""

DAY = 86_400.0
SETTLED = 600.0
"""Seconds that a lasting incident must last to be reported: a backup may unmount a disk."""
KEPT_SECONDS = 30 * DAY
"""Seconds for which reported events are kept: longer than a queue repeats them (14 days)."""
KEPT = 5000
"""The most events kept of one cause; the oldest are dropped."""
LONGEST_DETAIL = 500
"""Characters."""


class Cause(enum.StrEnum):
    """What can be wrong. Each is an option of `[alerts]`."""

    DEAD_LETTERS = "dead_letters"
    QUARANTINE = "quarantine"
    CREDENTIALS = "credentials"
    SILENCE = "silence"
    CERTIFICATE = "certificate"
    DISK = "disk"
    MAILBOX = "mailbox"
    LOST_FILES = "lost_files"
    ABSENT = "absent"
    PUBLISHING = "publishing"
    BOUNCES = "bounces"
    COMPLAINTS = "complaints"
    SEALING = "sealing"


def wanted_causes(names: Iterable[str]) -> tuple[Cause, ...]:
    """Return the causes with these names, which are those of the options that are on."""
    return tuple(Cause(name) for name in names)


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing to report. `at` is in seconds since 1970.

    `what` identifies it among those of its cause. `detail` is one printable line. `told`: an alert
    has reported it already.
    """

    cause: Cause
    what: str
    at: float
    detail: str
    lasting: bool = False
    told: bool = False


@dataclass(frozen=True, slots=True)
class Alert:
    """A mail that we wrote. `at`, when that was, is in seconds since 1970."""

    mail: str
    cause: Cause
    key: str
    at: float
    body: bytes


class Incidents:
    """Notes incidents, and says which of them an alert should report."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def happened(self, incidents: Iterable[Incident]) -> int:
        """Note events, each once; return how many were new."""
        incidents = list(incidents)
        with self._store.reading() as db:
            news = [t for t in incidents if not _known(db, t)]
        if not news:
            return 0
        with self._store.writing() as db:
            before = db.total_changes
            for trouble in news:
                note(db, trouble)
            added = db.total_changes - before
            for cause in {trouble.cause for trouble in news}:
                db.execute(
                    "DELETE FROM troubles WHERE cause = ?1 AND lasting = 0 AND what NOT IN"
                    " (SELECT what FROM troubles WHERE cause = ?1 AND lasting = 0"
                    " ORDER BY at DESC LIMIT ?2)",
                    (cause, KEPT),
                )
        return added

    def lasting(self, cause: Cause, found: Mapping[str, str], now: float) -> None:
        """Note which incidents of a cause last now, and no others: `found` has details by `what`.

        One that has been lasting keeps the time at which it began and gets the new detail. Nothing
        is written if nothing has changed.
        """
        details = {what: detail[:LONGEST_DETAIL] for what, detail in found.items()}
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT what, detail FROM troubles WHERE cause = ? AND lasting = 1", (cause,)
            )
            known = dict(rows.fetchall())
        if known == details:
            return
        with self._store.writing() as db:
            db.executemany(
                "DELETE FROM troubles WHERE cause = ? AND what = ?",
                [(cause, what) for what in known.keys() - details.keys()],
            )
            db.executemany(
                "UPDATE troubles SET detail = ? WHERE cause = ? AND what = ? AND lasting = 1",
                [(detail, cause, what) for what, detail in details.items() if what in known],
            )
            for what in details.keys() - known.keys():
                note(db, Incident(cause, what, now, details[what], lasting=True))

    def current(self, causes: Iterable[Cause], now: float) -> list[Incident]:
        """Return what lasts, what is still to be reported, and what was reported in the last day.

        In the order of `causes`, and of each cause the oldest first.
        """
        with self._store.reading() as db:
            rows = [
                row
                for cause in causes
                for row in db.execute(
                    "SELECT * FROM troubles WHERE cause = ? AND (lasting = 1 OR alert IS NULL OR"
                    " alert IN (SELECT mail FROM alerts WHERE abs(? - at) < ?)) ORDER BY at",
                    (cause, now, DAY),
                )
            ]
        return [_trouble(row) for row in rows]

    def to_tell(self, cause: Cause, now: float) -> list[Incident]:
        """Return what an alert of this cause should report now; nothing if none may be written.

        There is one a day at most, and none while an earlier one is still undelivered.
        """
        with self._store.reading() as db:
            if not _may_tell(db, cause, now):
                return []
            rows = db.execute(
                "SELECT * FROM troubles WHERE cause = ? AND (lasting = 1 OR alert IS NULL)"
                " ORDER BY at",
                (cause,),
            ).fetchall()
        return [t for t in map(_trouble, rows) if not t.lasting or _has_settled(t, now)]

    def tell(self, told: list[Incident], body: bytes, now: float) -> Alert | None:
        """Write the alert that reports these, all of one cause; None if none may be written."""
        cause = told[0].cause
        key = f"{cause}/{now:.6f}"
        alert = Alert(mail_id(OWN, key), cause, key, now, body)
        with self._store.writing() as db:
            if not _may_tell(db, cause, now):
                return None
            db.execute(
                "INSERT INTO alerts (mail, cause, key, at, body) VALUES (?, ?, ?, ?, ?)",
                (alert.mail, cause, key, now, body),
            )
            db.executemany(
                "UPDATE troubles SET alert = ? WHERE cause = ? AND what = ?",
                [(alert.mail, cause, trouble.what) for trouble in told],
            )
            db.execute("DELETE FROM troubles WHERE lasting = 0 AND at < ?", (now - KEPT_SECONDS,))
            # Its row among the deliveries stays: the file may be in the Maildir forever.
            db.execute(
                "DELETE FROM alerts WHERE delivered_at IS NOT NULL AND at < ?",
                (now - KEPT_SECONDS,),
            )
        return alert

    def undelivered(self) -> list[Alert]:
        """Return the alerts that have not been delivered yet, the oldest first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM alerts WHERE delivered_at IS NULL ORDER BY at"
            ).fetchall()
        return [
            Alert(row["mail"], Cause(row["cause"]), row["key"], row["at"], row["body"])
            for row in rows
        ]

    def task(self, alert: Alert) -> Task:
        """Return an alert as a mail to deliver, with the copies that have been begun."""
        with self._store.reading() as db:
            row = db.execute(
                "SELECT ? AS mail, ? AS bucket, ? AS key, 0 AS revision, 0 AS routed,"
                " NULL AS etag, NULL AS size, NULL AS last_modified, 0 AS edition,"
                " 0 AS attempts, 'unknown' AS envelope, NULL AS verdicts, 0 AS from_names,"
                " NULL AS settled_at",
                (alert.mail, OWN, alert.key),
            ).fetchone()
            return read_task(db, row)

    def delivered(self, alert: Alert, now: float) -> None:
        """Note that the alert is in its mailbox."""
        with self._store.writing() as db:
            db.execute("UPDATE alerts SET delivered_at = ? WHERE mail = ?", (now, alert.mail))


def _may_tell(db: sqlite3.Connection, cause: Cause, now: float) -> bool:
    # A wrong clock may have dated an alert into the future. That must not silence the next ones.
    row = db.execute(
        "SELECT 1 FROM alerts WHERE cause = ? AND (delivered_at IS NULL OR abs(? - at) < ?)",
        (cause, now, DAY),
    ).fetchone()
    return row is None


def _has_settled(trouble: Incident, now: float) -> bool:
    return not 0 <= now - trouble.at < SETTLED


def _known(db: sqlite3.Connection, trouble: Incident) -> bool:
    row = db.execute(
        "SELECT 1 FROM troubles WHERE cause = ? AND what = ?", (trouble.cause, trouble.what)
    ).fetchone()
    return row is not None


def note(db: sqlite3.Connection, trouble: Incident) -> None:
    """Note an incident once, within the transaction of what it is about."""
    db.execute(
        "INSERT OR IGNORE INTO troubles (cause, what, at, detail, lasting) VALUES (?, ?, ?, ?, ?)",
        (
            trouble.cause,
            trouble.what,
            trouble.at,
            trouble.detail[:LONGEST_DETAIL],
            trouble.lasting,
        ),
    )


def _trouble(row: sqlite3.Row) -> Incident:
    return Incident(
        cause=Cause(row["cause"]),
        what=row["what"],
        at=row["at"],
        detail=row["detail"],
        lasting=bool(row["lasting"]),
        told=row["alert"] is not None,
    )
