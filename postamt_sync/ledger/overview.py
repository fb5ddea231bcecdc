"""The ledger at a glance: counts, mailboxes, and how the sources are doing."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from postamt_sync.errors import CredentialsError, PostamtError
from postamt_sync.ledger.rows import EnvelopeState, ObjectState
from postamt_sync.ledger.store import Store


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How one source of mail, or another service, is doing.

    Times are in seconds since 1970, None: never. `refused`: AWS refuses our credentials, or does
    not let them do what is needed.
    """

    source: str
    ok_at: float | None
    bad_at: float | None
    problem: str | None
    detail: str | None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class MailboxHealth:
    """What one mailbox got, and what waits for it. `last_delivered_at` in seconds since 1970."""

    mailbox: str
    delivered: int
    last_delivered_at: float | None
    waiting: int
    problem: str | None
    absent: int = 0
    """Mails that were not there when the ledger was rebuilt."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One waiting object. `next_attempt` is on this boot's monotonic clock, `first_seen` is not."""

    mail: str
    key: str
    first_seen: float
    attempts: int
    next_attempt: float
    awaits_envelope: bool
    problem: str | None


@dataclass(frozen=True, slots=True)
class KeptNotification:
    """A genuine notification that was not understood. `at` is in seconds since 1970."""

    at: float
    source: str
    reason: str


class Overview:
    """What `status` shows of the ledger. It also notes how sources are doing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def states(self) -> dict[ObjectState, int]:
        """Return how many objects are in each state; every state is in it."""
        counts = dict.fromkeys(ObjectState, 0)
        with self._store.reading() as db:
            for state, count in db.execute("SELECT state, count(*) FROM objects GROUP BY state"):
                counts[ObjectState(state)] = count
        return counts

    def mailboxes(self, names: Iterable[str]) -> list[MailboxHealth]:
        """Return these mailboxes in their order, then others that the ledger knows."""
        with self._store.reading() as db:
            delivered = {
                mailbox: (count, last)
                for mailbox, count, last in db.execute(
                    # Alerts, which are no objects, are not incoming mail.
                    "SELECT mailbox, count(*), max(delivered_at) FROM deliveries"
                    " JOIN objects USING (mail) WHERE deliveries.state = 'delivered'"
                    " GROUP BY mailbox"
                )
            }
            waiting = {
                mailbox: (count, problem)
                for mailbox, count, problem in db.execute(
                    "SELECT mailbox, count(*), max(problem) FROM deliveries"
                    " WHERE state != 'delivered' AND state != 'absent' GROUP BY mailbox"
                )
            }
            absent = dict(
                db.execute(
                    "SELECT mailbox, count(*) FROM deliveries"
                    " WHERE state = 'absent' AND state != 'delivered' GROUP BY mailbox"
                ).fetchall()
            )
        others = sorted(delivered.keys() | waiting.keys() | absent.keys())
        return [
            MailboxHealth(
                name,
                *delivered.get(name, (0, None)),
                *waiting.get(name, (0, None)),
                absent.get(name, 0),
            )
            for name in dict.fromkeys([*names, *others])
        ]

    def waiting(self, limit: int) -> list[Waiting]:
        """Return waiting objects: first those with a problem, in each group the oldest first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT mail, key, first_seen, attempts, envelope, problem,"
                " coalesce((SELECT at FROM questions q WHERE q.mail = objects.mail"
                " AND envelope = 'awaited'),"
                " next_attempt) AS next_attempt FROM objects"
                " WHERE state = 'waiting' ORDER BY problem IS NULL, first_seen LIMIT ?",
                (limit,),
            ).fetchall()
        return [
            Waiting(
                mail=row["mail"],
                key=row["key"],
                first_seen=row["first_seen"],
                attempts=row["attempts"],
                next_attempt=row["next_attempt"],
                awaits_envelope=row["envelope"] == EnvelopeState.AWAITED,
                problem=row["problem"],
            )
            for row in rows
        ]

    def sources(self) -> list[SourceHealth]:
        """Return how all sources are doing, sorted by name."""
        with self._store.reading() as db:
            rows = db.execute("SELECT * FROM sources ORDER BY source").fetchall()
        return [
            SourceHealth(
                r["source"], r["ok_at"], r["bad_at"], r["problem"], r["detail"], bool(r["refused"])
            )
            for r in rows
        ]

    def notifications(self) -> list[KeptNotification]:
        """Return the notifications that were not understood, the newest first."""
        with self._store.reading() as db:
            rows = db.execute("SELECT at, source, reason FROM notices ORDER BY id DESC").fetchall()
        return [KeptNotification(row["at"], row["source"], row["reason"]) for row in rows]

    def source_ok(self, source: str, detail: str = "") -> None:
        """Note that a source works, and clear its last problem."""
        with self._store.writing() as db:
            db.execute(
                "INSERT INTO sources (source, ok_at, detail) VALUES (?, ?, ?) ON CONFLICT (source)"
                " DO UPDATE SET ok_at = excluded.ok_at, detail = excluded.detail, problem = NULL,"
                " refused = 0",
                (source, time.time(), detail),
            )

    def source_bad(self, source: str, error: PostamtError | str) -> None:
        """Note that a source does not work, and why."""
        refused = isinstance(error, CredentialsError)
        with self._store.writing() as db:
            db.execute(
                "INSERT INTO sources (source, bad_at, problem, refused) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (source) DO UPDATE SET"
                " bad_at = excluded.bad_at, problem = excluded.problem, refused = excluded.refused",
                (source, time.time(), str(error), refused),
            )

    def forget_source(self, source: str) -> None:
        """Remove the note about a source."""
        with self._store.reading() as db:
            known = db.execute("SELECT 1 FROM sources WHERE source = ?", (source,)).fetchone()
        if known:
            with self._store.writing() as db:
                db.execute("DELETE FROM sources WHERE source = ?", (source,))
