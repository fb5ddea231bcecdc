"""One join at a time: two would put keys, certificates and lists in place over each other."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postamt_sync.errors import TryLaterError, unwritable

LOCK = Path("/run/postamt-sync-join.lock")
"""Where root alone may write; gone with the next boot."""


@contextmanager
def join_lock(path: Path = LOCK) -> Iterator[None]:
    """Keep other joins out for as long as the context is open; one that is killed keeps nobody out.

    Raises TryLaterError if there is one.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise unwritable(path, error, "Run it as root (sudo).") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise TryLaterError(
            "Another join is at work on this machine.", "Wait until it has ended, then type again."
        ) from None
    try:
        yield
    finally:
        os.close(handle)
