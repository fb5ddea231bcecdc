"""Rebuilding a lost ledger, and completing an old one, from the file names in the Maildirs.

It begins with the names and ends with a full listing of the bucket, which has the keys. What we
hear of in between is held: only then is it clear for each mailbox whether it has the mail, is owed
it, or has deleted it. A rebuild that was interrupted is continued by the next `begin`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from postamt_sync.ledger.absences import note_absent
from postamt_sync.ledger.envelope_lookups import put_lookup
from postamt_sync.ledger.found_copies import FoundCopy, claim, keep, knows_all
from postamt_sync.ledger.rows import AbsenceState, ObjectState, Task
from postamt_sync.ledger.store import Store
from postamt_sync.ledger.task_rows import read_task, read_tasks


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How a rebuild ended: how many objects are taken for deleted, and how many wait."""

    absent: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Unhashed:
    """A copy of which its ETag does not tell whether it still has the object's content."""

    mail: str
    mailbox: str
    stem: str
    maildir: str


@dataclass(frozen=True, slots=True)
class NamedCopy:
    """A copy known by its file name. `named_at` is the time in the name, `stored_at` the object's.

    Both are S3's times in seconds since 1970, in the name as whole seconds.
    """

    task: Task
    mailbox: str
    stem: str
    maildir: str
    named_at: float
    stored_at: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A held object that nobody is owed any more. `absent` are the mailboxes that lack it."""

    task: Task
    state: ObjectState
    absent: tuple[str, ...] = ()


class Rebuild:
    """Takes in file names, then holds what is unknown until the bucket has been listed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def pending(self) -> bool:
        """Whether a rebuild has begun and not ended."""
        with self._store.reading() as db:
            return db.execute("SELECT 1 FROM rebuilding").fetchone() is not None

    def knows_all(self, names: Sequence[tuple[str, str]]) -> bool:
        """Tell whether every (mail id, stem) is known. If not, the ledger is new or an old copy."""
        with self._store.reading() as db:
            return knows_all(db, names)

    @property
    def from_names_alone(self) -> bool:
        """Whether the rebuild under way began with an empty ledger."""
        with self._store.reading() as db:
            return db.execute("SELECT 1 FROM rebuilding WHERE lost = 1").fetchone() is not None

    def note_whole(self) -> None:
        """Note that this ledger knows all names: if it is ever behind them, it is an old copy."""
        with self._store.reading() as db:
            row = db.execute("SELECT 1 FROM began WHERE whole_at IS NULL").fetchone()
        if row is not None:
            with self._store.writing() as db:
                db.execute("UPDATE began SET whole_at = ?", (time.time(),))

    def begin(self, roots: Iterable[tuple[str, str]]) -> None:
        """Hold what is unknown from now on. `roots` are pairs (mailbox, Maildir) that exist."""
        with self._store.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO rebuilding (only, begun_at, lost)"
                " SELECT 1, ?, whole_at IS NULL FROM began",
                (time.time(),),
            )
            # None of them may be created again: if one is missing, its disk is not mounted.
            db.executemany(
                "INSERT OR IGNORE INTO maildirs (mailbox, root, created_at) VALUES (?, ?, ?)",
                [(mailbox, root, time.time()) for mailbox, root in roots],
            )

    def take(self, found_copies: Sequence[FoundCopy]) -> int:
        """Take in file names; return how many of them were new.

        A copy of a known object counts as delivered at once. Whether the object lacks other copies
        is decided at the end, or by the courier if it is to be delivered anyway.
        """
        with self._store.writing() as db:
            before = db.total_changes
            keep(db, found_copies)
            news = db.total_changes - before
            for mail in {trace.mail for trace in found_copies} if news else ():
                row = db.execute("SELECT state FROM objects WHERE mail = ?", (mail,)).fetchone()
                if row is None or not claim(db, mail):
                    continue
                db.execute(
                    "UPDATE objects SET state = 'waiting', revision = revision + 1,"
                    " due = 'held', next_attempt = 0, problem = NULL WHERE mail = ? AND"
                    " (state NOT IN ('waiting', 'skipped', 'delivered') OR state = 'delivered' AND"
                    " EXISTS (SELECT 1 FROM deliveries d WHERE d.mail = objects.mail"
                    " AND d.state = 'waiting'))",
                    (mail,),
                )
        return news

    def newest_copies(self, mailbox: str, limit: int, offset: int = 0) -> list[NamedCopy]:
        """Return this mailbox's copies of objects that were listed, the newest first.

        A name that is later than its object was forged or has a wrong time: the object's counts.
        """
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT d.stem, d.maildir, CAST(d.stem AS INTEGER) AS named_at, o.*"
                " FROM deliveries d JOIN objects o USING (mail)"
                " WHERE d.mailbox = ? AND d.state = 'delivered' AND o.last_modified IS NOT NULL"
                " ORDER BY min(named_at, o.last_modified) DESC LIMIT ? OFFSET ?",
                (mailbox, limit, offset),
            ).fetchall()
            return [
                NamedCopy(
                    read_task(db, row),
                    mailbox,
                    row["stem"],
                    row["maildir"],
                    row["named_at"],
                    row["last_modified"],
                )
                for row in rows
            ]

    def set_horizons(self, newest: Mapping[str, float]) -> None:
        """Set for good how new the newest mail in each mailbox was (seconds since 1970)."""
        with self._store.writing() as db:
            db.execute("DELETE FROM horizons")
            db.executemany("INSERT INTO horizons VALUES (?, ?)", newest.items())

    def held(self, after: str, limit: int) -> list[Task]:
        """Return up to `limit` held objects with mail ids after `after`, in their order."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM objects WHERE mail > ? AND due = 'held'"
                " AND state IN ('waiting', 'archived', 'sealed') ORDER BY mail LIMIT ?",
                (after, limit),
            ).fetchall()
            return read_tasks(db, rows)

    def undecided(self, after: str, limit: int) -> list[Task]:
        """Return up to `limit` objects that wait after a rebuild without anything saying whose.

        They have mail ids after `after`, and come in their order.
        """
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM objects o WHERE mail > ? AND state = 'waiting' AND from_names = 1"
                " AND NOT EXISTS (SELECT 1 FROM recipients r WHERE r.mail = o.mail)"
                " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.mail = o.mail)"
                " ORDER BY mail LIMIT ?",
                (after, limit),
            ).fetchall()
            return read_tasks(db, rows)

    def settle(self, settled: Iterable[Settled], *, ask: bool) -> None:
        """Close held objects, except those that were heard of meanwhile.

        With `ask` the index is to be asked for the envelopes that no receipt has brought: they may
        name more mailboxes.
        """
        with self._store.writing() as db:
            for each in settled:
                mail = each.task.mail
                closed = db.execute(
                    "UPDATE objects SET state = ?, routed = revision, settled_at = ?,"
                    " problem = NULL, absence = ?"
                    " WHERE mail = ? AND revision = ? AND due = 'held'",
                    (
                        each.state,
                        time.time(),
                        AbsenceState.UNSEEN
                        if each.state is ObjectState.ABSENT
                        else AbsenceState.NONE,
                        mail,
                        each.task.revision,
                    ),
                )
                if closed.rowcount:
                    note_absent(db, mail, each.absent)
                if closed.rowcount and ask:
                    put_lookup(db, mail, 0.0, asked=False)

    def unhashed(self) -> list[Unhashed]:
        """Return the copies of held objects whose content has to be compared by its hash."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT d.mail, d.mailbox, d.stem, d.maildir FROM objects o"
                " JOIN deliveries d USING (mail) WHERE o.state = 'waiting' AND o.due = 'held'"
                " AND d.state = 'delivered' AND d.sha256 = ''"
            )
            return [Unhashed(*row) for row in rows]

    def note_hash(self, copy: Unhashed, sha256: str) -> None:
        """Note the SHA-256 of a copy's bytes, in hex."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE deliveries SET sha256 = ? WHERE mail = ? AND mailbox = ? AND stem = ?",
                (sha256, copy.mail, copy.mailbox, copy.stem),
            )

    def end(self) -> Rebuilt | None:
        """Release what is still held, after a full listing. None if no rebuild is under way.

        If the ledger was lost, the horizons apply from now on to all that was listed, even if its
        envelope comes later. What we hear of after this was stored after the loss.
        """
        with self._store.writing() as db:
            row = db.execute("SELECT lost FROM rebuilding").fetchone()
            if row is None:
                return None
            absent = 0
            if row["lost"]:
                db.execute("UPDATE objects SET from_names = 1 WHERE last_modified IS NOT NULL")
                (absent,) = db.execute(
                    "SELECT count(*) FROM objects WHERE absence = 'unseen'"
                ).fetchone()
            (waiting,) = db.execute(
                "SELECT count(*) FROM objects WHERE state = 'waiting' AND due = 'held'"
            ).fetchone()
            db.execute("UPDATE objects SET due = 'backfill', next_attempt = 0 WHERE due = 'held'")
            db.execute("UPDATE began SET whole_at = coalesce(whole_at, ?)", (time.time(),))
            # Mails are counted when they are settled, which those known by their names never were.
            db.execute(
                "INSERT OR REPLACE INTO days"
                " SELECT date(last_modified, 'unixepoch', 'localtime'), count(*) FROM objects"
                " WHERE last_modified IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries d"
                " WHERE d.mail = objects.mail AND d.state = 'delivered') GROUP BY 1"
            )
            db.execute("DELETE FROM rebuilding")
        return Rebuilt(absent, waiting)

    def unmatched(self) -> int:
        """Return how many copies have a name of ours, but no object in the bucket."""
        with self._store.reading() as db:
            (count,) = db.execute("SELECT count(*) FROM traces WHERE NOT draft").fetchone()
        return int(count)
