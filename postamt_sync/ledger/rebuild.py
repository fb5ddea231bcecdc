"""Rebuilding a lost ledger, and completing an old one, from the names in the Maildirs.

It begins with the names and ends with a full listing of the bucket, which knows the keys. What is
heard of in between is held: only the end can tell for each mailbox whether it has the mail, is
still to be given it, or has deleted it. A rebuild that was cut short goes on with the next `begin`.
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
    """How a rebuild ended: objects taken for deleted by someone, and objects that wait."""

    absent: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Unhashed:
    """A copy of a content that is no longer the object's, as far as an ETag can tell."""

    mail: str
    mailbox: str
    stem: str
    maildir: str


@dataclass(frozen=True, slots=True)
class NamedCopy:
    """A copy that a name tells of. `named_at` is the time in the name, `stored_at` is the object's.

    Both are S3's, in seconds since 1970; a name has whole seconds.
    """

    task: Task
    mailbox: str
    stem: str
    maildir: str
    named_at: float
    stored_at: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A held object that nobody is to be given any more. `absent` names who lacks it."""

    task: Task
    state: ObjectState
    absent: tuple[str, ...] = ()


class Rebuild:
    """Takes in names, then holds the unknown until the bucket was listed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def pending(self) -> bool:
        """Whether a rebuild has begun and not ended."""
        with self._store.reading() as db:
            return db.execute("SELECT 1 FROM rebuilding").fetchone() is not None

    def knows_all(self, names: Sequence[tuple[str, str]]) -> bool:
        """Tell whether every (mail id, stem) is known; if not, this ledger is lost or old."""
        with self._store.reading() as db:
            return knows_all(db, names)

    @property
    def from_names_alone(self) -> bool:
        """Whether the rebuild that is under way began with a ledger that knew nothing."""
        with self._store.reading() as db:
            return db.execute("SELECT 1 FROM rebuilding WHERE lost = 1").fetchone() is not None

    def note_whole(self) -> None:
        """Note that this ledger knows all names: if it is ever found behind, it is an old one."""
        with self._store.reading() as db:
            row = db.execute("SELECT 1 FROM began WHERE whole_at IS NULL").fetchone()
        if row is not None:
            with self._store.writing() as db:
                db.execute("UPDATE began SET whole_at = ?", (time.time(),))

    def begin(self, roots: Iterable[tuple[str, str]]) -> None:
        """Hold what is unknown from now on. `roots` are (mailbox, Maildir) that are there."""
        with self._store.writing() as db:
            db.execute(
                "INSERT OR IGNORE INTO rebuilding (only, begun_at, lost)"
                " SELECT 1, ?, whole_at IS NULL FROM began",
                (time.time(),),
            )
            # None of them may be made again: a missing one is an unmounted disk.
            db.executemany(
                "INSERT OR IGNORE INTO maildirs (mailbox, root, created_at) VALUES (?, ?, ?)",
                [(mailbox, root, time.time()) for mailbox, root in roots],
            )

    def take(self, found_copies: Sequence[FoundCopy]) -> int:
        """Take in names; return how many of them were news.

        A copy of an object that is known counts as delivered at once. Whether the object lacks
        further copies is left to the end, or to the courier where it is to be delivered anyway.
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
        """Return copies in this mailbox of objects that were listed, the newest first.

        A name that is later than its object was made up, or has a wrong time: the object's counts.
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
        """Fix for good how new the newest mail was that lay in each mailbox."""
        with self._store.writing() as db:
            db.execute("DELETE FROM horizons")
            db.executemany("INSERT INTO horizons VALUES (?, ?)", newest.items())

    def held(self, after: str, limit: int) -> list[Task]:
        """Return held objects with a mail id after `after`, in that order."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM objects WHERE mail > ? AND due = 'held'"
                " AND state IN ('waiting', 'archived', 'sealed') ORDER BY mail LIMIT ?",
                (after, limit),
            ).fetchall()
            return read_tasks(db, rows)

    def undecided(self, after: str, limit: int) -> list[Task]:
        """Return what waits after a rebuild, and of which nobody knows whose it is.

        It has a mail id after `after`, and comes in that order.
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
        """Close held objects, unless something was heard of them meanwhile.

        With `ask` the index is asked for the envelopes that no receipt has told: they may name more
        mailboxes.
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
        """Return copies of held objects whose content must be compared by its hash."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT d.mail, d.mailbox, d.stem, d.maildir FROM objects o"
                " JOIN deliveries d USING (mail) WHERE o.state = 'waiting' AND o.due = 'held'"
                " AND d.state = 'delivered' AND d.sha256 = ''"
            )
            return [Unhashed(*row) for row in rows]

    def note_hash(self, copy: Unhashed, sha256: str) -> None:
        """Note the SHA-256 (hex) of the bytes of a copy."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE deliveries SET sha256 = ? WHERE mail = ? AND mailbox = ? AND stem = ?",
                (sha256, copy.mail, copy.mailbox, copy.stem),
            )

    def end(self) -> Rebuilt | None:
        """After a full listing: let go what is still held. None if no rebuild is under way.

        Where the ledger was lost, whatever was listed is subject to the horizons from now on, also
        when its envelope comes later. What is heard of after this was stored after the loss.
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
            # What the names told of was never settled, which is where mails are counted.
            db.execute(
                "INSERT OR REPLACE INTO days"
                " SELECT date(last_modified, 'unixepoch', 'localtime'), count(*) FROM objects"
                " WHERE last_modified IS NOT NULL AND EXISTS (SELECT 1 FROM deliveries d"
                " WHERE d.mail = objects.mail AND d.state = 'delivered') GROUP BY 1"
            )
            db.execute("DELETE FROM rebuilding")
        return Rebuilt(absent, waiting)

    def unmatched(self) -> int:
        """Return how many copies have a name of ours whose object the bucket does not have."""
        with self._store.reading() as db:
            (count,) = db.execute("SELECT count(*) FROM traces WHERE NOT draft").fetchone()
        return int(count)
