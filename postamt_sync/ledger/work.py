"""The courier's side of the ledger: what is due, and how each step ended.

The end of a step is reported with the revision that the step began with. If something was heard of
the object meanwhile (another recipient, a new ETag, a person's retry), its revision is higher by
then: the facts of the step are kept, but the object stays due. The revision that the deliveries
fulfil is stored too (`routed`), so that a copy which is finished after a crash does not close an
object that has more to do.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from postamt_sync.ledger.absences import find_absent, note_absent
from postamt_sync.ledger.envelope_lookups import put_lookup
from postamt_sync.ledger.history import remember
from postamt_sync.ledger.maildir_roots import MaildirRoots
from postamt_sync.ledger.rows import (
    Delivery,
    DeliveryState,
    DueState,
    ObjectState,
    Prepared,
    Task,
    close_if_done,
    mind_another_etag,
    put_copies,
    wait_for_copy,
)
from postamt_sync.ledger.store import Store
from postamt_sync.ledger.task_rows import read_task, read_tasks

_IN_ORDER = (DueState.FIRST, DueState.LATER, DueState.BACKFILL)


class Work:
    """What the courier reads and writes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.roots = MaildirRoots(store)

    def is_closed(self) -> bool:
        """Tell whether the ledger was closed; another one may be in use by then."""
        return self._store.is_closed

    def make_all_due(self) -> int:
        """Make due what is paused, as the monotonic clock has started over; count what waits."""
        with self._store.writing() as db:
            # The backfill stays last; a grace begins again.
            db.execute(
                "UPDATE objects SET due = 'first', next_attempt = 0, envelope = 'unknown'"
                " WHERE state = 'waiting' AND due = 'later'"
            )
            waiting = db.execute("SELECT count(*) FROM objects WHERE state = 'waiting'")
            return int(waiting.fetchone()[0])

    def due(
        self, now: float, limit: int, busy: Iterable[str], longest: int | None = None
    ) -> list[Task]:
        """Return up to `limit` objects that are due at `now`, which is on the monotonic clock.

        Left out are the mail ids in `busy`, and objects that are known to have more than `longest`
        bytes. New mail comes first, then what is tried again, then the backfill; in each of them
        the oldest first.
        """
        busy = set(busy)
        rows: list[sqlite3.Row] = []
        with self._store.reading() as db:
            for due in _IN_ORDER:
                left = limit + len(busy) - len(rows)
                # On its own SQLite would use the index of states, and sort all of it each time.
                rows += db.execute(
                    "SELECT * FROM objects INDEXED BY objects_due"
                    " WHERE state = 'waiting' AND due = ?1 AND next_attempt <= ?2"
                    " AND (?3 IS NULL OR size IS NULL OR size <= ?3)"
                    " ORDER BY next_attempt, last_modified LIMIT ?4",
                    (due, now if due is DueState.LATER else 0, longest, left),
                ).fetchall()
            return read_tasks(db, [row for row in rows if row["mail"] not in busy][:limit])

    def due_or_next(
        self, now: float, limit: int, busy: Iterable[str], longest: int | None = None
    ) -> tuple[list[Task], float | None]:
        """Return what `due` returns; if that is nothing, also when the next object will be due."""
        tasks = self.due(now, limit, busy, longest)
        return tasks, None if tasks else self.next_due(now)

    def next_due(self, now: float) -> float | None:
        """Return when the next object will be due, on the monotonic clock; None if none will be."""
        with self._store.reading() as db:
            (moment,) = db.execute(
                "SELECT min(next_attempt) FROM objects INDEXED BY objects_due"
                " WHERE state = 'waiting' AND due = ? AND next_attempt > ?",
                (DueState.LATER, now),
            ).fetchone()
        return None if moment is None else float(moment)

    def note_size(self, task: Task, size: int) -> None:
        """Note how many bytes a waiting object turned out to have."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE objects SET size = ? WHERE mail = ? AND state = 'waiting'",
                (size, task.mail),
            )

    def again(self, task: Task) -> Task:
        """Return the same object as the ledger has it now."""
        with self._store.reading() as db:
            row = db.execute("SELECT * FROM objects WHERE mail = ?", (task.mail,)).fetchone()
            return read_task(db, row)

    def prepare(self, mails: Sequence[Prepared]) -> None:
        """Do step 2 for a group: fix names and mailboxes. The intent is durable on return."""
        now = time.time()
        with self._store.writing() as db:
            mind_another_etag(db, [(mail.task, mail.etag) for mail in mails])
            db.executemany(
                "UPDATE objects SET etag = CASE WHEN revision = ? THEN ? ELSE etag END,"
                " size = ?, last_modified = ?, evidence = ?, routed = ?,"
                " envelope = CASE envelope WHEN 'unknown' THEN envelope ELSE 'in vain' END"
                " WHERE mail = ?",
                [
                    (
                        mail.task.revision,
                        mail.etag,
                        mail.size,
                        mail.last_modified,
                        mail.evidence,
                        mail.task.revision,
                        mail.task.mail,
                    )
                    for mail in mails
                ],
            )
            # Copies of an older content that were never published have lost their source.
            db.executemany(
                "DELETE FROM deliveries WHERE mail = ? AND state = 'waiting'"
                " AND (mailbox = ? OR ? IS NULL)",
                [
                    (mail.task.mail, name, name)
                    for mail in mails
                    for name in (mail.mailboxes if mail.alone else (None,))
                ],
            )
            ready = [(mail.task.mail, copy, None) for mail in mails for copy in mail.copies]
            put_copies(db, ready, DeliveryState.PREPARED, now)
            failed = [(mail.task.mail, *each) for mail in mails for each in mail.failed]
            put_copies(db, failed, DeliveryState.WAITING, None)
            with_absent = find_absent(db, [mail.task.mail for mail in mails])
            for mail in mails:
                if mail.absent or mail.task.mail in with_absent:
                    note_absent(db, mail.task.mail, mail.absent)
                if mail.ask_at is not None:
                    put_lookup(db, mail.task.mail, mail.ask_at)

    def settle(
        self,
        tasks: Sequence[tuple[Task, Sequence[Delivery]]],
        generations: Mapping[str, int] | None = None,
    ) -> None:
        """Do step 4 for a group: note these copies as delivered, and close finished objects.

        `generations` has by root what its marker says now.
        """
        now = time.time()
        generations = generations or {}
        with self._store.writing() as db:
            settled: dict[str, int] = {}
            for task, copies in tasks:
                done = db.executemany(
                    "UPDATE deliveries SET state = 'delivered', delivered_at = ?, problem = NULL,"
                    " generation = ?"
                    " WHERE mail = ? AND mailbox = ? AND stem = ? AND state != 'delivered'",
                    [
                        (now, generations.get(copy.maildir, 0), task.mail, copy.mailbox, copy.stem)
                        for copy in copies
                    ],
                )
                settled[task.mail] = settled.get(task.mail, 0) + max(0, done.rowcount)
            remember(db, settled, now)
            close_if_done(db, settled, now)
            db.executemany(
                "UPDATE maildirs SET generation = max(generation, ?) WHERE root = ?",
                [(generation, root) for root, generation in generations.items()],
            )

    def settle_known(
        self,
        task: Task,
        etag: str,
        size: int,
        last_modified: float,
        absent: Collection[str] = (),
    ) -> None:
        """Note the ETag of a content that its mailboxes have, or that is `absent` for them."""
        with self._store.writing() as db:
            mind_another_etag(db, [(task, etag)])
            db.execute(
                "UPDATE objects SET etag = ?, size = ?, last_modified = ?, routed = ?"
                " WHERE mail = ? AND revision = ?",
                (etag, size, last_modified, task.revision, task.mail, task.revision),
            )
            db.execute("DELETE FROM deliveries WHERE mail = ? AND state = 'waiting'", (task.mail,))
            note_absent(db, task.mail, absent)
            close_if_done(db, [task.mail], time.time())

    def start_anew(self, task: Task, copy: Delivery) -> None:
        """Forget a prepared copy whose file is nowhere: the mailbox waits for another one."""
        with self._store.writing() as db:
            db.execute(
                "DELETE FROM deliveries WHERE mail = ? AND mailbox = ? AND stem = ?"
                " AND state = 'prepared'",
                (task.mail, copy.mailbox, copy.stem),
            )
            # Otherwise another copy that is settled next would close the object.
            wait_for_copy(db, task, copy.mailbox, "the prepared copy is lost")

    def postpone(
        self,
        task: Task,
        problem: str,
        moment: float,
        mailboxes: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Note a failure: the object is due again at `moment`, on the monotonic clock.

        `mailboxes` has those that cannot take their copy, with the reasons.
        """
        with self._store.writing() as db:
            db.execute(
                "UPDATE objects SET attempts = attempts + 1, problem = ?,"
                " envelope = CASE envelope WHEN 'unknown' THEN envelope ELSE 'in vain' END"
                " WHERE mail = ? AND state = 'waiting'",
                (problem, task.mail),
            )
            _put_off(db, task, moment)
            for mailbox, reason in mailboxes:
                wait_for_copy(db, task, mailbox, reason)

    def await_envelope(self, task: Task, moment: float, ask_at: float | None = None) -> None:
        """Wait for the envelope until `moment`, and ask the index for it at `ask_at`, if at all.

        Both are on the monotonic clock. This does not count as a failure.
        """
        with self._store.writing() as db:
            db.execute(
                "UPDATE objects SET envelope = 'awaited', problem = NULL"
                " WHERE mail = ? AND state = 'waiting'",
                (task.mail,),
            )
            _put_off(db, task, moment)
            if ask_at is not None:
                put_lookup(db, task.mail, ask_at)

    def look_again(self, task: Task) -> None:
        """Forget the ETag of an object that changed while we read it, and make it due at once."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE objects SET etag = NULL, due = 'first', next_attempt = 0"
                " WHERE mail = ? AND state = 'waiting'",
                (task.mail,),
            )

    def end(self, task: Task, state: ObjectState, problem: str | None = None) -> None:
        """Close an object without a delivery: as gone, archived, quarantined or skipped."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE objects SET state = ?, problem = ?, settled_at = ?, envelope = 'unknown'"
                " WHERE mail = ? AND revision = ? AND state = 'waiting'",
                (state, problem, time.time(), task.mail, task.revision),
            )

    def retry_archived(self) -> None:
        """Make objects due whose archive no listing shows, such as that of Intelligent-Tiering."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE objects SET state = 'waiting', revision = revision + 1, due = 'backfill',"
                " next_attempt = 0 WHERE state = 'archived'"
                " AND coalesce(storage_class, '') NOT IN ('GLACIER', 'DEEP_ARCHIVE')"
            )

    def retry_now(self) -> None:
        """Make everything due that failed: the network or a disk is back."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE objects SET due = 'first', next_attempt = 0"
                " WHERE state = 'waiting' AND due = 'later' AND envelope != 'awaited'"
            )

    def retry_mailbox_now(self, mailbox: str) -> None:
        """Make everything due that waits for this mailbox: it can be written again."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE objects SET due = 'first', next_attempt = 0"
                " WHERE state = 'waiting' AND due = 'later' AND envelope != 'awaited' AND mail IN"
                " (SELECT mail FROM deliveries WHERE mailbox = ? AND state IN"
                " ('waiting', 'prepared'))",
                (mailbox,),
            )

    def knows_maildir(self, root: Path) -> bool:
        """Tell whether this root has ever been there, and so must not be created again."""
        return self.roots.find(root) is not None


def _put_off(db: sqlite3.Connection, task: Task, moment: float) -> None:
    """Make it due at `moment`, unless something was heard of it since the step began."""
    db.execute(
        "UPDATE objects SET due = 'later', next_attempt = ?"
        " WHERE mail = ? AND state = 'waiting' AND revision = ?",
        (moment, task.mail, task.revision),
    )
