"""What the ledger knows of each object and its copies, in key order, for a comparison."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from postamt_sync.ledger.rows import ObjectState
from postamt_sync.ledger.store import Store


@dataclass(frozen=True, slots=True)
class KnownCopy:
    """A copy that was delivered, in the current edition of its object."""

    mailbox: str
    stem: str
    sha256: str


@dataclass(frozen=True, slots=True)
class KnownObject:
    """One object. `first_seen` is in seconds since 1970."""

    key: str
    mail: str
    state: ObjectState
    etag: str | None
    size: int | None
    first_seen: float
    problem: str | None
    copies: tuple[KnownCopy, ...]
    recipients: tuple[str, ...] = ()
    """Those of all its receipts; untrusted text."""
    absent: tuple[str, ...] = ()
    """Mailboxes that lacked it when the ledger was rebuilt."""
    owed: tuple[str, ...] = ()
    """Mailboxes that are still to be given it."""


class Inventory:
    """Reads a page at a time; writes nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def between(self, bucket: str, after: str, until: str | None) -> list[KnownObject]:
        """Return the objects whose keys are after `after` and up to `until`, in their order.

        None: up to the last one.
        """
        span = (bucket, after, until, until)
        copies: dict[str, list[KnownCopy]] = {}
        recipients: dict[str, list[str]] = {}
        others: dict[tuple[str, bool], list[str]] = {}
        with self._store.reading() as db:
            for mail, mailbox, stem, sha256 in db.execute(
                "SELECT o.mail, d.mailbox, d.stem, d.sha256 FROM objects o"
                " JOIN deliveries d ON d.mail = o.mail"
                " WHERE o.bucket = ? AND o.key > ? AND (? IS NULL OR o.key <= ?)"
                " AND d.state = 'delivered' AND d.edition = o.edition",
                span,
            ):
                copies.setdefault(mail, []).append(KnownCopy(mailbox, stem, sha256))
            for mail, mailbox, is_absent in db.execute(
                "SELECT o.mail, d.mailbox, d.state = 'absent' FROM objects o"
                " JOIN deliveries d ON d.mail = o.mail"
                " WHERE o.bucket = ? AND o.key > ? AND (? IS NULL OR o.key <= ?)"
                " AND d.state IN ('absent', 'waiting', 'prepared') ORDER BY d.mailbox",
                span,
            ):
                others.setdefault((mail, bool(is_absent)), []).append(mailbox)
            for mail, address in db.execute(
                "SELECT o.mail, r.address FROM objects o JOIN recipients r ON r.mail = o.mail"
                " WHERE o.bucket = ? AND o.key > ? AND (? IS NULL OR o.key <= ?)",
                span,
            ):
                recipients.setdefault(mail, []).append(address)
            rows = db.execute(
                "SELECT key, mail, state, etag, size, first_seen, problem FROM objects"
                " WHERE bucket = ? AND key > ? AND (? IS NULL OR key <= ?) ORDER BY key",
                span,
            ).fetchall()
        return [
            KnownObject(
                key=row["key"],
                mail=row["mail"],
                state=ObjectState(row["state"]),
                etag=row["etag"],
                size=row["size"],
                first_seen=row["first_seen"],
                problem=row["problem"],
                copies=tuple(copies.get(row["mail"], ())),
                recipients=tuple(recipients.get(row["mail"], ())),
                absent=tuple(others.get((row["mail"], True), ())),
                owed=tuple(others.get((row["mail"], False), ())),
            )
            for row in rows
        ]

    def known(self, mails: Iterable[str]) -> set[str]:
        """Return those of these mail ids for which the ledger has an object."""
        with self._store.reading() as db:
            return {
                mail
                for mail in mails
                if db.execute("SELECT 1 FROM objects WHERE mail = ?", (mail,)).fetchone()
            }
