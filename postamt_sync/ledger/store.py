"""The ledger's SQLite connection: one transaction at a time, durable when it ends."""

from __future__ import annotations

import gc
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from postamt_sync import atomic_file
from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.ledger.as_owner import as_owner_of
from postamt_sync.ledger.open_file import OpenDatabase, OpenFile
from postamt_sync.ledger.schema import migrate

FILE_NAME = "ledger.sqlite3"
PARTS = ("", "-wal", "-shm")
"""What SQLite appends to a database's name: the files of a database, with its log and log index."""
BUSY_SECONDS = 4
"""How long a transaction waits for one of another process. Stopping must not take longer."""


class LedgerReplacedError(TryLaterError):
    """The open ledger is not at its path any more: nobody would find what is written to it."""


class LedgerDamagedError(MisconfiguredError):
    """The file is not a ledger, or someone else has written to it."""


class Store:
    """An open ledger file. Its methods may be called from any thread, and block it.

    Do not call them in an event loop's thread, but through asyncio.to_thread: a disk may take
    seconds, and another process's transaction may take BUSY_SECONDS.
    """

    observer: ClassVar[Callable[[], None]] = staticmethod(lambda: None)
    """Called at every use. Tests check by it that no event loop is blocked."""

    def __init__(self, path: Path, held: Sequence[OpenFile] = ()) -> None:
        """Open the ledger at `path`; it is created or migrated if need be.

        `held` are other files, such as the lock: once one of them is replaced, nothing is written.
        Raises TryLaterError if the disk refuses, LedgerDamagedError if the file is not a ledger,
        NewerLedgerError if a newer version wrote it.
        """
        self.path = path
        self._lock = threading.RLock()
        self._files: list[OpenFile] = []
        self._damage: LedgerDamagedError | None = None
        self.saved = False
        """Whether the open ledger was saved elsewhere; then nothing is written to it any more."""
        self.is_closed = False
        with self._explained(), as_owner_of(path.parent):
            _make_private(path)
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            try:
                # WAL: readers never wait. FULL: when a commit returns, it is on the disk.
                _switch_to_wal(self._connection)
                self._connection.execute("PRAGMA synchronous = FULL")
                migrate(self._connection)
                if str(path) != ":memory:":
                    parts = [Path(f"{path}{part}") for part in PARTS[1:]]
                    self._files = [OpenDatabase.of(path), *map(OpenFile.of, parts)]
            except BaseException:
                self._connection.close()
                raise
        self._files += held

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction. When the block ends, it is durable in the file at the path.

        If the block raises, nothing is written; with LedgerReplacedError the lost file may have it.
        """
        with self._lock, self._explained():
            self.check()  # a ledger that is lost is not written to
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self.check()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction for reads that all see one state of the ledger at the path."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            self.check()

    def problem(self) -> str:
        """Return what has become of the open ledger, "" while it is in its place."""
        if self._damage is not None:
            return "damaged"
        if self.saved:
            return "saved elsewhere"
        for file in self._files:
            if problem := file.problem():
                return f"{problem} ({file.path.name})"
        return ""

    def check(self) -> None:
        """Raise LedgerReplacedError if the open ledger is not at its path, or not intact."""
        if problem := self.problem():
            raise LedgerReplacedError(
                f"The ledger {self.path} was {problem} while it was in use; nothing was kept.",
                "A running daemon repairs that within seconds. Then try again.",
            )

    @property
    def is_lost(self) -> bool:
        """Whether the ledger itself, not just the lock, is damaged or not at its path."""
        own = self._files[: len(PARTS)]
        return self._damage is not None or any(file.problem() for file in own)

    @property
    def is_named(self) -> bool:
        """Whether the open ledger is at its path, even if its log is gone."""
        return bool(self._files) and self._files[0].is_at(self.path)

    @property
    def is_overwritten(self) -> bool:
        """Whether the open ledger is at its path, but someone else has written to it."""
        return self.is_named and bool(self._damage or self._files[0].problem())

    @property
    def may_return(self) -> bool:
        """Whether every file that is not in its place is intact in another, as after `mv`."""
        return self._damage is None and all(
            not file.problem() or (file.has_a_name() and not file.is_at(file.path))
            for file in self._files
        )

    def sign(self) -> None:
        """Mark the file as opened by us, to notice if another file's bytes are copied over it."""
        database = self._files[0]
        assert isinstance(database, OpenDatabase)
        mark = secrets.randbelow(2**31 - 1) + 1
        with self._lock, self._explained():
            self.check()
            self._connection.execute(f"PRAGMA application_id = {mark}")
            # While there is a reader, the mark may stay in the log. Then only the size is checked.
            _, in_log, in_file = self._connection.execute("PRAGMA wal_checkpoint").fetchone()
            database.mark = mark if in_log == in_file else None

    def in_memory(self) -> Store:
        """Return a copy in memory."""
        copy = Store(Path(":memory:"))
        self.back_up(copy._connection)
        return copy

    def back_up(self, target: sqlite3.Connection) -> None:
        """Copy the open ledger, wherever its file is now; nobody can write meanwhile."""
        with self._lock, self._explained():
            self._connection.backup(target)

    def forget_own_log(self) -> None:
        """Remove log and index from the path if the ledger that they belong to is gone from it.

        Otherwise they would be applied to the ledger that is there now. To be called only after
        `back_up`.
        """
        if self.is_named:
            return
        for file in self._files[1 : len(PARTS)]:
            if file.is_at(file.path):
                file.path.unlink(missing_ok=True)

    def empty_log(self) -> None:
        """Write the log into the file and truncate it, so that neither has what was erased.

        While there is a reader, that is left to a later checkpoint.
        """
        with self._lock, self._explained():
            self.check()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    @contextmanager
    def writing_from(self, other: Path) -> Iterator[sqlite3.Connection]:
        """Open a transaction in which another ledger's tables can be read as `other.<table>`."""
        with self._lock, self._explained():
            self._connection.execute("ATTACH DATABASE ? AS other", (str(other),))
            try:
                with self.writing() as db:
                    yield db
            finally:
                self._connection.execute("DETACH DATABASE other")

    def close(self) -> None:
        """Close the ledger. SQLite removes log and index only if it is still at its path.

        Its files are closed when this returns, even if something (a traceback is enough) still has
        a cursor that was not read to its end. Python would leave the file open because of it, and
        SQLite would share the index of a lost log with everything that this process opens at that
        path.
        """
        with self._lock:
            self.is_closed = True
            # Searched for here: keeping track of them all would make every statement dearer.
            for holder in gc.get_referrers(self._connection):
                if isinstance(holder, sqlite3.Cursor):
                    holder.close()
            self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        Store.observer()
        try:
            yield
        except sqlite3.Error as error:
            raise self._explain(error) from error
        except OSError as error:  # from our own calls beside SQLite
            raise TryLaterError(
                f"The ledger {self.path} cannot be used: {error.strerror}.",
                "Look at its disk and at dmesg.",
            ) from error

    def _explain(self, error: sqlite3.Error) -> PostamtError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            self._damage = LedgerDamagedError(
                f"The ledger {self.path} is damaged ({error}).",
                "Stop the daemon and rebuild the ledger from its copy and the Maildirs: "
                "postamt-sync rebuild",
            )
            return self._damage
        remedy = {
            sqlite3.SQLITE_FULL: "Make room on its disk; until then everything waits.",
            sqlite3.SQLITE_READONLY: "Its directory must be writable for this user (ls -ld).",
            sqlite3.SQLITE_CANTOPEN: "Its directory must exist and be writable for this user.",
            sqlite3.SQLITE_BUSY: "Another process has kept it locked; find it with fuser.",
        }.get(code, "Look at its disk and at dmesg.")
        return TryLaterError(f"The ledger {self.path} cannot be used: {error}.", remedy)


def _make_private(path: Path) -> None:
    # SQLite would create the file, and then its -wal and -shm, readable for everybody.
    if str(path) == ":memory:":
        return
    try:
        # This opens new files only: closing one that SQLite has open here would end its locks.
        atomic_file.make_private(path)
    except FileExistsError:
        return
    except OSError as error:
        raise TryLaterError(
            f"The ledger {path} cannot be opened ({error.strerror}).",
            "Make its directory, or let this user write there (ls -ld).",
        ) from error


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # When two processes open a new ledger at once, SQLite refuses one of them without waiting.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
