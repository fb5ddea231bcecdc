"""The ledger as a whole: opened once per process, with its parts as attributes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.ledger.absences import Absences
from postamt_sync.ledger.arrivals import Arrivals
from postamt_sync.ledger.envelope_lookups import EnvelopeLookups
from postamt_sync.ledger.history import History
from postamt_sync.ledger.incidents import Incidents
from postamt_sync.ledger.inventory import Inventory
from postamt_sync.ledger.lock import check_access
from postamt_sync.ledger.open_file import OpenFile
from postamt_sync.ledger.overview import Overview
from postamt_sync.ledger.rebuild import Rebuild
from postamt_sync.ledger.remembered_headers import RememberedHeaders
from postamt_sync.ledger.repair import Repair
from postamt_sync.ledger.restores import Restores
from postamt_sync.ledger.store import FILE_NAME, Store
from postamt_sync.ledger.sync_runs import SyncRuns
from postamt_sync.ledger.tracks import Tracks
from postamt_sync.ledger.work import Work


class Ledger:
    """The ledger in `state_dir`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.arrivals = Arrivals(store)
        self.work = Work(store)
        self.rebuild = Rebuild(store)
        self.absences = Absences(store)
        self.inventory = Inventory(store)
        self.restores = Restores(store)
        self.repair = Repair(store)
        self.overview = Overview(store)
        self.sync_runs = SyncRuns(store)
        self.history = History(store)
        self.envelope_lookups = EnvelopeLookups(store)
        self.incidents = Incidents(store)
        self.headers = RememberedHeaders(store)
        self.tracks = Tracks(store)

    @classmethod
    def open(cls, state_dir: Path, held: Sequence[OpenFile] = ()) -> Ledger:
        """Open the ledger for reading and writing; it is created or migrated if need be.

        Nothing is written any more once a file of `held` is not in its place. Raises OtherUserError
        and what `Store` raises.
        """
        check_access(state_dir)
        try:
            state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise TryLaterError(
                f"The state directory {state_dir} cannot be made ({error.strerror}).",
                "Make it for this user, or choose another state_dir.",
            ) from error
        return cls(Store(state_dir / FILE_NAME, held))

    @classmethod
    def open_for_a_look(cls, state_dir: Path) -> Ledger:
        """Open the ledger, or an empty one in memory if there is none: a dry run leaves nothing."""
        there = cls.is_there(state_dir)
        return cls(Store(state_dir / FILE_NAME if there else Path(":memory:")))

    @classmethod
    def is_there(cls, state_dir: Path) -> bool:
        """Tell whether there is a ledger.

        Raises OtherUserError if this user may not look for it, or not use it.
        """
        check_access(state_dir)
        path = state_dir / FILE_NAME
        if not path.exists():
            return False
        check_access(path)
        return True

    @classmethod
    def open_existing(cls, state_dir: Path) -> Ledger:
        """Open the ledger, which must exist, as commands beside the daemon do."""
        if not cls.is_there(state_dir):
            raise MisconfiguredError(
                f"There is no ledger in {state_dir} yet.",
                "The first postamt-sync run or sync creates it. Is state_dir the right one?",
            )
        return cls(Store(state_dir / FILE_NAME))

    def in_memory(self) -> Ledger:
        """Return a copy in memory, for a dry run."""
        return Ledger(self.store.in_memory())

    def is_sound(self) -> bool:
        """Have SQLite check the whole file, which takes seconds if it is large."""
        try:
            with self.store.reading() as db:
                (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        except MisconfiguredError:
            return False
        return bool(verdict == "ok")

    def close(self) -> None:
        self.store.close()


def was_there_once(state_dir: Path, maildir: Path) -> bool:
    """Tell whether the ledger knows a Maildir: if it is gone, its disk is not mounted.

    False where there is no ledger that can be read.
    """
    try:
        ledger = Ledger.open_for_a_look(state_dir)
    except (PostamtError, OSError):
        return False
    try:
        return ledger.work.knows_maildir(maildir)
    finally:
        ledger.close()
