"""The SQLite connection under the ledger: one transaction at a time, durable when it ends."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.ledger.schema import migrate

FILE_NAME = "ledger.sqlite3"
BUSY_SECONDS = 4
"""How long a transaction waits for another process's short one; a stop must not take longer."""


class Store:
    """An open ledger file. Its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        """Open, and if need be create and migrate, the ledger at `path`.

        Raises TryLaterError if the disk refuses, MisconfiguredError if the file is no ledger.
        """
        self.path = path
        self._lock = threading.RLock()
        with self._explained():
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
            except BaseException:
                self._connection.close()
                raise

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: durable when the block ends, without trace when it raises."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Several reads of one state of the ledger."""
        with self._lock, self._explained():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def in_memory(self) -> Store:
        """Return a copy that nobody else sees."""
        copy = Store(Path(":memory:"))
        with self._lock, self._explained():
            self._connection.backup(copy._connection)
        return copy

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._explain(error) from error

    def _explain(self, error: sqlite3.Error) -> PostamtError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return MisconfiguredError(
                f"The ledger {self.path} is damaged ({error}).",
                "Stop the daemon, and rebuild it from its copy and the Maildirs: "
                "postamt-sync rebuild",
            )
        remedy = {
            sqlite3.SQLITE_FULL: "Make room on its disk; everything waits meanwhile.",
            sqlite3.SQLITE_READONLY: "Its directory must be writable for this user (ls -ld).",
            sqlite3.SQLITE_CANTOPEN: "Its directory must exist and be writable for this user.",
            sqlite3.SQLITE_BUSY: "Another process holds it for long; look for one with fuser.",
        }.get(code, "Look at its disk and at dmesg.")
        return TryLaterError(f"The ledger {self.path} cannot be used: {error}.", remedy)


def _make_private(path: Path) -> None:
    # SQLite would make the file, and then its -wal and -shm, readable for everybody.
    if str(path) == ":memory:":
        return
    try:
        # Only a new file is opened: closing one that SQLite has open here would end its locks.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise TryLaterError(
            f"The ledger {path} cannot be opened ({error.strerror}).",
            "Its directory must exist and be writable for this user (ls -ld).",
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
