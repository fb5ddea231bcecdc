"""Copies of the ledger, made while it is in use, and put back when it is lost.

SQLite's online backup copies one consistent state, whoever writes meanwhile. A copy replaces the
previous one only once it is complete, checked and synced.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from postamt_sync import atomic_file
from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import printable
from postamt_sync.ledger.schema import MIGRATIONS
from postamt_sync.ledger.store import FILE_NAME, PARTS, LedgerDamagedError
from postamt_sync.threads import ask_disk

BACKUP_NAME = "ledger-copy.sqlite3"
INTEGRITY = "PRAGMA integrity_check(1)"
QUICK = "PRAGMA quick_check(1)"


def back_up(
    state_dir: Path, directory: Path, still_ours: Callable[[], None] = lambda: None
) -> Path:
    """Copy the ledger of `state_dir` into `directory`, which must exist; durable on return.

    Those who use the ledger meanwhile are not blocked. `still_ours` is called before the copy
    replaces the previous one, and raises if what was copied is not the ledger any more. Raises what
    that raises, TryLaterError, and LedgerDamagedError; the previous copy is kept then.
    """
    target = directory / BACKUP_NAME
    try:
        why = "" if directory.is_dir() else "there is no such directory"
    except OSError as error:  # a failing disk, or one that no longer answers
        why = error.strerror or str(error)
    if why:
        raise TryLaterError(
            f"The ledger cannot be copied to {printable(str(directory))}: {why}.",
            "Mount its disk, make the directory, or take backup_dir out of the configuration.",
        )
    copy_ledger(state_dir / FILE_NAME, target, still_ours)
    return target


def backed_up_at(directory: Path) -> float | None:
    """Return when the copy in `directory` was made (seconds since 1970); None if there is none."""
    try:
        return (directory / BACKUP_NAME).stat().st_mtime
    except OSError:
        return None


def put_back(state_dir: Path, directories: Iterable[Path]) -> Path | None:
    """Put the newest usable copy in the place of a missing ledger; None if there is no copy.

    To be called only while holding the courier's lock. Durable on return; if it is interrupted, the
    ledger is still missing. A directory whose disk does not answer is skipped, like one that is not
    mounted.
    """
    asked = {each: ask_disk(partial(backed_up_at, each), None) for each in directories}
    found = [(at, directory) for directory, at in asked.items() if at]
    # SQLite would apply the log of the lost ledger to the copy. It is set aside, not removed: a
    # process that still has that ledger open needs it, and for others it is a trace of the loss.
    set_aside(state_dir)
    for _, directory in sorted(found, reverse=True):
        # A damaged copy, or one from a newer version, is as good as none: the file names remain.
        with contextlib.suppress(PostamtError):
            copy_ledger(directory / BACKUP_NAME, state_dir / FILE_NAME)
            return directory / BACKUP_NAME
    return None


def set_aside(state_dir: Path) -> Path | None:
    """Rename the ledger with its log and return its new path; None if there is nothing to rename.

    To be called only while holding the courier's lock. What was set aside earlier is kept.
    """
    there = [part for part in PARTS if (state_dir / f"{FILE_NAME}{part}").exists()]
    if not there:
        return None
    aside = stamped(state_dir)
    for part in reversed(there):  # the ledger itself last: until then it is not lost
        with contextlib.suppress(FileNotFoundError):
            (state_dir / f"{FILE_NAME}{part}").rename(f"{aside}{part}")
    atomic_file.sync(state_dir)
    return aside


def stamped(state_dir: Path, suffix: str = "") -> Path:
    """Return an unused path beside the ledger, with the time in its name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    names = itertools.chain([stamp], (f"{stamp}-{n}" for n in itertools.count(2)))
    paths = (state_dir / f"{FILE_NAME}.{name}" for name in names)
    return next(
        path.with_name(f"{path.name}{suffix}")
        for path in paths
        if not list(state_dir.glob(f"{path.name}*"))
    )


def copy_ledger(source: Path, target: Path, still_ours: Callable[[], None] = lambda: None) -> None:
    """Copy a ledger into another file, durably; raises what `back_up` raises."""

    def fill(theirs: sqlite3.Connection) -> None:
        with contextlib.closing(_opened(source)) as ours:
            ours.backup(theirs)

    write_ledger(target, fill, str(source), QUICK, still_ours)


def write_ledger(
    target: Path,
    fill: Callable[[sqlite3.Connection], None],
    source: str,
    check: str,
    still_ours: Callable[[], None] = lambda: None,
) -> None:
    """Have `fill` write a ledger, which replaces `target` once it is checked and synced.

    `source` is what a message says that it was made from, `check` the pragma that it has to pass.
    """
    # A name of its own: a copy that hangs may still finish when the disk answers, beside another.
    scratch = target.with_name(f"{target.name}.{secrets.token_hex(4)}.new")
    try:
        for left in (f"{target.name}.new", f"{target.name}.*.new"):
            for path in target.parent.glob(left):
                path.unlink(missing_ok=True)
        atomic_file.make_private(scratch)
        with contextlib.closing(sqlite3.connect(scratch, isolation_level=None)) as made:
            fill(made)
            made.execute("PRAGMA journal_mode = DELETE")  # so that the copy is a single file
            made.execute(
                "PRAGMA application_id = 0"
            )  # the mark of `Store.sign` is for the original
            _check(made, source, check)
        atomic_file.sync(scratch)
        still_ours()
        atomic_file.move(scratch, target)
    except (OSError, sqlite3.Error) as error:
        _remove(scratch)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise _damaged(source) from error
        raise TryLaterError(
            f"The ledger {printable(source)} cannot be copied to {printable(str(target))}: "
            f"{error}.",
            "Look at both disks: is there room, and may this user write?",
        ) from error
    except PostamtError:
        _remove(scratch)
        raise


def _remove(scratch: Path) -> None:
    with contextlib.suppress(OSError):
        scratch.unlink(missing_ok=True)


def _opened(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise FileNotFoundError(2, "no such file", str(path))
    return sqlite3.connect(path, isolation_level=None, timeout=10)


def _check(copy: sqlite3.Connection, source: str, check: str) -> None:
    (version,) = copy.execute("PRAGMA user_version").fetchone()
    (verdict,) = copy.execute(check).fetchone()
    if verdict != "ok" or not 0 < version <= len(MIGRATIONS):
        raise _damaged(source)


def _damaged(source: str) -> LedgerDamagedError:
    return LedgerDamagedError(
        f"The ledger {printable(source)} is damaged or was written by a newer version.",
        "Rebuild it: postamt-sync rebuild",
    )
