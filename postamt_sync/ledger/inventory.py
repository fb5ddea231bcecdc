"""The ledger's side of a comparison: what it knows of each object and its copies, key by key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from postamt_sync.ledger.rows import ObjectState
from postamt_sync.ledger.store import Store


@dataclass(frozen=True, slots=True)
class KnownCopy:
    """A copy that was delivered, in the edition that counts."""

    mailbox: str
    stem: str
    sha256: str


@dataclass(frozen=True, slots=True)
class KnownObject:
    """One object; times in seconds since 1970."""

    key: str
    mail: str
    state: ObjectState
    etag: str | None
    size: int | None
    first_seen: float
    problem: str | None
    copies: tuple[KnownCopy, ...]


class Inventory:
    """Reads only, a page at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def between(self, bucket: str, after: str, until: str | None) -> list[KnownObject]:
        """Return what has a key after `after`, up to `until` (None: to the end), in key order."""
        span = (bucket, after, until, until)
        copies: dict[str, list[KnownCopy]] = {}
        with self._store.reading() as db:
            for mail, mailbox, stem, sha256 in db.execute(
                "SELECT o.mail, d.mailbox, d.stem, d.sha256 FROM objects o"
                " JOIN deliveries d ON d.mail = o.mail"
                " WHERE o.bucket = ? AND o.key > ? AND (? IS NULL OR o.key <= ?)"
                " AND d.state = 'delivered' AND d.edition = o.edition",
                span,
            ):
                copies.setdefault(mail, []).append(KnownCopy(mailbox, stem, sha256))
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
            )
            for row in rows
        ]

    def known(self, mails: Iterable[str]) -> set[str]:
        """Return those mail ids that the ledger has an object of."""
        with self._store.reading() as db:
            return {
                mail
                for mail in mails
                if db.execute("SELECT 1 FROM objects WHERE mail = ?", (mail,)).fetchone()
            }
