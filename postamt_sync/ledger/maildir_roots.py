"""The roots of the Maildirs: which ones have been there, their markers, what they should contain.

A root's generation counts the groups of mails that were published into it, both here and in the
marker file in the root. A copy has the generation that was written after it. If the root's is
lower, the root has lost the copy, unless someone has moved or deleted it.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.events import printable
from postamt_sync.ledger.found_copies import FoundCopy, claim, keep, knows_all
from postamt_sync.ledger.incidents import Cause, Incident, note
from postamt_sync.ledger.store import Store
from postamt_sync.quantities import count


@dataclass(frozen=True, slots=True)
class MaildirRoot:
    """A root that has been there. `marker` is the id in its marker file, "" if it had none yet."""

    marker: str
    generation: int


@dataclass(frozen=True, slots=True)
class DeliveredCopy:
    """A copy that a root should contain, unless someone has deleted it."""

    mail: str
    mailbox: str
    stem: str


class MaildirRoots:
    """There is one for each ledger, because of the locks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locks: dict[str, threading.RLock] = defaultdict(threading.RLock)
        self._distrusted: set[str] = set()

    def alone_with(self, root: Path) -> threading.RLock:
        """Return the lock for this root's marker: one thread at a time compares or replaces it."""
        return self._locks[str(root)]

    def find(self, root: Path) -> MaildirRoot | None:
        """Return what is known of a root. None: it has never been there, and may be created."""
        with self._store.reading() as db:
            row = db.execute(
                "SELECT marker, generation FROM maildirs WHERE root = ?", (str(root),)
            ).fetchone()
        return None if row is None else MaildirRoot(row["marker"], row["generation"])

    def remember(self, root: Path, mailbox: str, marker: str = "", generation: int = 0) -> None:
        """Remember that this root is there and, if `marker` is given, its marker from now on."""
        with self._store.writing() as db:
            db.execute(
                "INSERT INTO maildirs (root, mailbox, created_at, marker, generation)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (root) DO UPDATE SET"
                " marker = excluded.marker, generation = excluded.generation"
                " WHERE excluded.marker != ''",
                (str(root), mailbox, time.time(), marker, generation),
            )

    def distrust(self, root: Path) -> None:
        """Note that a root could not be read: it must be read whole before mail is put into it."""
        self._distrusted.add(str(root))

    def is_distrusted(self, root: Path) -> bool:
        return str(root) in self._distrusted

    def trust(self, root: Path) -> None:
        """Note that it has been read whole."""
        self._distrusted.discard(str(root))

    def accept(self, root: Path, mailbox: str, marker: str, generation: int, *, anew: bool) -> None:
        """Accept a root as the right one. `anew`: it does not continue the previous generations.

        Then nothing that was delivered to the previous root counts as lost in this one.
        """
        if anew:
            with self._store.writing() as db:
                db.execute("UPDATE deliveries SET generation = 0 WHERE maildir = ?", (str(root),))
        self.remember(root, mailbox, marker, generation)

    def was_delivered_to(self, root: Path) -> bool:
        """Tell whether any mail was ever delivered into this root."""
        with self._store.reading() as db:
            row = db.execute(
                "SELECT 1 FROM deliveries WHERE maildir = ? AND state = 'delivered' LIMIT 1",
                (str(root),),
            ).fetchone()
        return row is not None

    def delivered_after(self, root: Path, generation: int) -> list[DeliveredCopy]:
        """Return what was delivered into this root after this generation was written."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT mail, mailbox, stem FROM deliveries"
                " WHERE maildir = ? AND generation > ? AND state = 'delivered'",
                (str(root), generation),
            )
            return [DeliveredCopy(*row) for row in rows]

    def make_due(
        self, lost: Iterable[DeliveredCopy], root: Path, mailbox: str, found: int, known: int
    ) -> int:
        """Make lost copies due again, however old they are; return how many. A person is told.

        `found` is the generation that the root has, `known` the one that it should have.
        """
        due = 0
        with self._store.writing() as db:
            for copy in lost:
                revived = db.execute(
                    "UPDATE objects SET state = 'waiting', revision = revision + 1,"
                    " due = CASE due WHEN 'held' THEN due ELSE 'first' END, next_attempt = 0"
                    " WHERE mail = ? AND state IN ('delivered', 'absent', 'waiting')",
                    (copy.mail,),
                ).rowcount
                if not revived:  # an alert, or decided otherwise meanwhile
                    continue
                due += 1
                db.execute(
                    "DELETE FROM deliveries WHERE mail = ? AND mailbox = ? AND stem = ?",
                    (copy.mail, copy.mailbox, copy.stem),
                )
                db.execute(
                    "INSERT OR IGNORE INTO deliveries (mail, mailbox, stem, state, problem)"
                    " VALUES (?, ?, '', 'waiting', 'its file was lost with the disk')",
                    (copy.mail, copy.mailbox),
                )
                # The envelope named the mailbox: otherwise it would not have had the copy.
                db.execute(
                    "INSERT OR IGNORE INTO owed (mail, mailbox) VALUES (?, ?)",
                    (copy.mail, copy.mailbox),
                )
            if due:
                mails = count(due, "mail")
                detail = f"{mailbox}: {mails} lost from {root}, to be delivered again"
                what = f"{root} {found} {known}"
                note(db, Incident(Cause.LOST_FILES, what, time.time(), printable(detail)))
        return due

    def take_in(self, found: Sequence[FoundCopy]) -> int:
        """Take in file names that were found in a root; return how many the ledger did not know.

        This completes deliveries that an older copy of the ledger has forgotten, and those that
        wait only because the root was not there.
        """
        with self._store.reading() as db:
            if knows_all(db, [(copy.mail, copy.stem) for copy in found]):
                return 0
        with self._store.writing() as db:
            before = db.total_changes
            keep(db, found)
            news = db.total_changes - before
            for mail in {copy.mail for copy in found}:
                if db.execute("SELECT 1 FROM objects WHERE mail = ?", (mail,)).fetchone():
                    claim(db, mail)
        return news
