"""Room in the ledger's log (SQLite's write-ahead log), so that a commit need not lengthen the file.

Where a commit makes the file longer, a file system like ext4 has to commit its own journal too, and
with that whatever other programs have just written. On a disk where others are at work this took
one commit in a hundred 10 to 60 ms, in place of 1 to 6, and the usual one twice as long. SQLite
begins the log anew after each checkpoint, so it is lengthened once, to what it has at a checkpoint.

What follows the last commit in the log is never taken for one, which SQLite sees by a checksum:
there is always something after a log that was begun anew.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from postamt_sync.ledger.store import PARTS, Store

ROOM = 1100 * 4120
"""Bytes: after 1,000 pages SQLite makes a checkpoint, and the last commit may have gone beyond."""
STEP = 256 * 1024
"""Bytes that a commit has to wait for, at most, on a slow disk."""
SPARE = 16 * ROOM
"""Bytes that must be free on the disk; where they are not, a commit may take longer instead."""


def make_room_in_log(store: Store, room: int = ROOM, step: int = STEP) -> None:
    """Lengthen the log to `room` bytes, if need be. Blocking; others may commit meanwhile.

    Raises what `Store.writing` raises. A disk that refuses is left alone.
    """
    with contextlib.suppress(OSError), _log_of(store) as log:
        while _lengthened(store, log, room, step):
            os.fdatasync(log)  # until then the file system has not given it a place on the disk


def _lengthened(store: Store, log: int, room: int, step: int) -> bool:
    with store.writing():  # nobody but its holder writes to the log
        size = os.fstat(log).st_size
        disk = os.fstatvfs(log)
        if size >= room or disk.f_bavail * disk.f_frsize < SPARE:
            return False
        try:
            os.pwrite(log, bytes(min(step, room - size)), size)
        except OSError:
            return False
    return True


@contextlib.contextmanager
def _log_of(store: Store) -> Iterator[int]:
    path = f"{store.path}{PARTS[1]}"
    # SQLite locks other files, so closing this one ends no lock.
    log = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield log
    finally:
        os.close(log)
