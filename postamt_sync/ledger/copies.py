"""Copies of the ledger, made while it is in use, and brought back when it is lost.

SQLite's online backup reads one state of it, whoever writes meanwhile. A copy takes the place of
the one before only once it is whole, checked and synced.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path

from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.events import printable
from postamt_sync.ledger.schema import MIGRATIONS
from postamt_sync.ledger.store import FILE_NAME

COPY_NAME = "ledger-copy.sqlite3"
_PARTS = ("", "-wal", "-shm")


def make_copy(state_dir: Path, directory: Path) -> Path:
    """Copy the ledger of `state_dir` into `directory`, which must be there; durable on return.

    Blocks nobody who uses the ledger. Raises TryLaterError, and MisconfiguredError for a ledger
    that is damaged; the copy before then stays.
    """
    target = directory / COPY_NAME
    if not directory.is_dir():
        raise TryLaterError(
            f"The ledger cannot be copied to {printable(str(directory))}: it is not there.",
            "Mount its disk, make the directory, or take backup_dir out of the configuration.",
        )
    _copy(state_dir / FILE_NAME, target)
    return target


def copied_at(directory: Path) -> float | None:
    """Return when the copy in `directory` was made, in seconds since 1970, None: there is none."""
    try:
        return (directory / COPY_NAME).stat().st_mtime
    except OSError:
        return None


def bring_back(state_dir: Path, directories: Iterable[Path]) -> Path | None:
    """Put the newest usable copy in the place of a ledger that is not there; None: there is none.

    Only while holding the courier's lock. Durable on return; a stop in between leaves no ledger.
    """
    found = [(at, directory) for directory in directories if (at := copied_at(directory))]
    for part in _PARTS[1:]:  # left from the lost one, SQLite would play it into the copy
        (state_dir / f"{FILE_NAME}{part}").unlink(missing_ok=True)
    for _, directory in sorted(found, reverse=True):
        # A damaged copy, or one of a newer version, is as good as none: there are the names.
        with contextlib.suppress(PostamtError):
            _copy(directory / COPY_NAME, state_dir / FILE_NAME)
            return directory / COPY_NAME
    return None


def set_aside(state_dir: Path) -> Path:
    """Rename the ledger that is there, with its parts, and return its new path.

    Only while holding the courier's lock.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = state_dir / f"{FILE_NAME}.{stamp}"
    for part in reversed(_PARTS):  # the ledger itself last: until then it is not lost
        with contextlib.suppress(FileNotFoundError):
            (state_dir / f"{FILE_NAME}{part}").rename(f"{aside}{part}")
    _sync(state_dir)
    return aside


def _copy(source: Path, target: Path) -> None:
    scratch = target.with_name(f"{target.name}.new")
    try:
        scratch.unlink(missing_ok=True)
        # SQLite would make it readable for everybody.
        os.close(os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with (
            contextlib.closing(_opened(source)) as ours,
            contextlib.closing(sqlite3.connect(scratch, isolation_level=None)) as theirs,
        ):
            ours.backup(theirs)
            theirs.execute("PRAGMA journal_mode = DELETE")  # the copy is one file
            _check(theirs, source)
        _sync(scratch)
        scratch.replace(target)
        _sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise TryLaterError(
            f"The ledger {printable(str(source))} cannot be copied to {printable(str(target))}: "
            f"{error}.",
            "Look at both disks: is there room, may this user write?",
        ) from error
    except MisconfiguredError:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def _opened(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise FileNotFoundError(2, "there is no such file", str(path))
    return sqlite3.connect(path, isolation_level=None, timeout=10)


def _check(copy: sqlite3.Connection, source: Path) -> None:
    (version,) = copy.execute("PRAGMA user_version").fetchone()
    (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok" or not 0 < version <= len(MIGRATIONS):
        raise MisconfiguredError(
            f"The ledger {printable(str(source))} is damaged or of a newer version.",
            "Rebuild it: postamt-sync rebuild",
        )


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
