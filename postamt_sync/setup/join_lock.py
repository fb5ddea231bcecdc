"""One `join` at a time: two would overwrite each other's keys, certificates and lists."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from postamt_sync.errors import TryLaterError, unwritable

LOCK = Path("/run/postamt-sync-join.lock")
"""In a directory that only root may write to, and that is emptied at boot."""


PAUSE = 1.0
ATTEMPTS = 300
"""Attempts, PAUSE apart, while another `join` is running: it may be about to end."""


@contextmanager
def join_lock(
    path: Path = LOCK,
    *,
    waiting: Callable[[], None] = lambda: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[None]:
    """Keep other joins out while the context is open; one that was killed keeps nobody out.

    If another is running, call `waiting` once and wait for it to end. Raises TryLaterError if it
    does not, or the lock cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise unwritable(path, error, "Run it as root (sudo).") from error
    try:
        for attempt in range(ATTEMPTS):
            if _is_ours(handle):
                break
            if attempt == 0:
                waiting()
            sleep(PAUSE)
        else:
            raise TryLaterError(
                "Another join is running on this machine.",
                "Wait until it has ended, then type again.",
            )
        yield
    finally:
        os.close(handle)


def _is_ours(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
