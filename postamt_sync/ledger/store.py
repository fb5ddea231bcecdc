"""The SQLite connection under the ledger: one transaction at a time, durable when it ends."""

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
"""What SQLite adds to the name of a database: log and log index, without which it is not whole."""
BUSY_SECONDS = 4
"""How long a transaction waits for another process's short one; a stop must not take longer."""


class LedgerReplacedError(TryLaterError):
    """The path no longer names the ledger that is open: what is written to it, nobody will find."""


class LedgerDamagedError(MisconfiguredError):
    """The file is no ledger, or was written to by someone else."""


class Store:
    """An open ledger file. Its methods may be called from any thread, but block it.

    A thread that runs an event loop uses asyncio.to_thread: a disk may take seconds, and another
    process's transaction `BUSY_SECONDS`.
    """

    observer: ClassVar[Callable[[], None]] = staticmethod(lambda: None)
    """Called at every use. Tests check here that no event loop is being blocked."""

    def __init__(self, path: Path, held: Sequence[OpenFile] = ()) -> None:
        """Open, and if need be create and migrate, the ledger at `path`.

        `held` are further files without which it must not be written, such as the lock.
        Raises TryLaterError if the disk refuses, LedgerDamagedError if the file is no ledger,
        NewerLedgerError if a newer version wrote it.
        """
        self.path = path
        self._lock = threading.RLock()
        self._files: list[OpenFile] = []
        self._damage: LedgerDamagedError | None = None
        self.saved = False
        """Whether what is open was saved elsewhere: from then on nothing is written to it."""
        self.is_closed = False
        with self._explained(), as_owner_of(path.parent):
            _make_private(path)
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False
            )
            self._connection.row_factory = sqlite3.Row
            try:
                # WAL: readers never wait. FULL: a commit is on the disk when it returns.
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
        """One transaction: durable, in the file that the path names, when the block ends.

        Without trace when it raises; only after LedgerReplacedError the lost file may have it.
        """
        with self._lock, self._explained():
            self.check()  # what was found lost is not written to any more
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
        """Several reads of one state of the ledger, which is the one that the path names."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            self.check()

    def problem(self) -> str:
        """Say what has become of the ledger that is open here, "" while it is in its place."""
        if self._damage is not None:
            return "damaged"
        if self.saved:
            return "saved elsewhere"
        for file in self._files:
            if problem := file.problem():
                return f"{problem} ({file.path.name})"
        return ""

    def check(self) -> None:
        """Raise LedgerReplacedError if the path does not name what is open here."""
        if problem := self.problem():
            raise LedgerReplacedError(
                f"The ledger {self.path} was {problem} while it was in use; this was not kept.",
                "A running daemon puts it right within seconds: then try it again.",
            )

    @property
    def is_lost(self) -> bool:
        """Whether the ledger itself is not what the path names, and not only what goes with it."""
        own = self._files[: len(PARTS)]
        return self._damage is not None or any(file.problem() for file in own)

    @property
    def is_named(self) -> bool:
        """Whether the path names the ledger that is open here, even if its log is gone."""
        return bool(self._files) and self._files[0].is_at(self.path)

    @property
    def is_overwritten(self) -> bool:
        """Whether the path names what is open here, and it is not what was written here."""
        return self.is_named and bool(self._damage or self._files[0].problem())

    @property
    def may_return(self) -> bool:
        """Whether all that is not in its place lies whole in another, as after a `mv`."""
        return self._damage is None and all(
            not file.problem() or (file.has_a_name() and not file.is_at(file.path))
            for file in self._files
        )

    def sign(self) -> None:
        """Mark the file as the one of this opening, so that another one's bytes are noticed."""
        database = self._files[0]
        assert isinstance(database, OpenDatabase)
        mark = secrets.randbelow(2**31 - 1) + 1
        with self._lock, self._explained():
            self.check()
            self._connection.execute(f"PRAGMA application_id = {mark}")
            # What a reader holds up stays in the log; then the file is known by its size alone.
            _, in_log, in_file = self._connection.execute("PRAGMA wal_checkpoint").fetchone()
            database.mark = mark if in_log == in_file else None

    def in_memory(self) -> Store:
        """Return a copy that nobody else sees."""
        copy = Store(Path(":memory:"))
        self.back_up(copy._connection)
        return copy

    def back_up(self, target: sqlite3.Connection) -> None:
        """Copy all that is open here, wherever it lies now; nobody writes meanwhile."""
        with self._lock, self._explained():
            self._connection.backup(target)

    def forget_own_log(self) -> None:
        """Remove log and index from the path where the ledger that they belong to is gone.

        Whoever opens what has come to its place would play them into it. Only after `back_up`.
        """
        if self.is_named:
            return
        for file in self._files[1 : len(PARTS)]:
            if file.is_at(file.path):
                file.path.unlink(missing_ok=True)

    def empty_log(self) -> None:
        """Write the log into the file and cut it: what was erased is in neither of them then.

        Where a reader holds the log up, it is done by a later checkpoint.
        """
        with self._lock, self._explained():
            self.check()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    @contextmanager
    def writing_from(self, other: Path) -> Iterator[sqlite3.Connection]:
        """One transaction in which the tables of another ledger can be read, as `other.<table>`."""
        with self._lock, self._explained():
            self._connection.execute("ATTACH DATABASE ? AS other", (str(other),))
            try:
                with self.writing() as db:
                    yield db
            finally:
                self._connection.execute("DETACH DATABASE other")

    def close(self) -> None:
        """Close it. SQLite removes log and index only where the path still names this ledger.

        Nothing of it is open when this returns, whoever holds a cursor that was not read to its
        end; the traceback of an error is enough. For such a one Python leaves the file open, and
        SQLite shares the index of a lost log with all that this process opens at the same path.
        """
        with self._lock:
            self.is_closed = True
            # Looked for here, since to keep account of all would cost every statement.
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
        except OSError as error:  # what we look at beside SQLite
            raise TryLaterError(
                f"The ledger {self.path} cannot be used: {error.strerror}.",
                "Look at its disk and at dmesg.",
            ) from error

    def _explain(self, error: sqlite3.Error) -> PostamtError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            self._damage = LedgerDamagedError(
                f"The ledger {self.path} is damaged ({error}).",
                "Stop the daemon, and rebuild it from its copy and the Maildirs: "
                "postamt-sync rebuild",
            )
            return self._damage
        remedy = {
            sqlite3.SQLITE_FULL: "Make room on its disk; everything waits meanwhile.",
            sqlite3.SQLITE_READONLY: "Its directory must be writable for this user (ls -ld).",
            sqlite3.SQLITE_CANTOPEN: "Its directory must exist and be writable for this user.",
            sqlite3.SQLITE_BUSY: "Another process has held it for a long time; find it with fuser.",
        }.get(code, "Look at its disk and at dmesg.")
        return TryLaterError(f"The ledger {self.path} cannot be used: {error}.", remedy)


def _make_private(path: Path) -> None:
    # SQLite would make the file, and then its -wal and -shm, readable for everybody.
    if str(path) == ":memory:":
        return
    try:
        # Only a new file is opened: closing one that SQLite has open here would end its locks.
        atomic_file.make_private(path)
    except FileExistsError:
        return
    except OSError as error:
        raise TryLaterError(
            f"The ledger {path} cannot be opened ({error.strerror}).",
            "Make its directory, or let this user write there (ls -ld).",
        ) from error


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # Where two processes open a new ledger at once, SQLite refuses one of them without waiting.
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
