"""What takes long to make, kept below the user's cache directory for the tests of all checkouts.

It is made under a lock and renamed into place; what a process uses is locked and removed by nobody.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

KEEP_SECONDS = 7 * 86_400


def cache() -> Path:
    """Return the directory of the user's in which tests keep what takes long to make."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(base, "postamt-sync-tests")
    place.mkdir(parents=True, exist_ok=True)
    return place


def kept_directory(kind: str, version: str, make: Callable[[Path], None]) -> Path:
    """Return the directory `kind`-`version`, filled by `make` unless it is there and fresh.

    Others read it at the same time: nobody writes to it.
    """
    place = cache() / f"{kind}-{version}"
    with alone(kind):
        if not place.is_dir() or (is_old(place) and unused(place.name)):
            forget_old(f"{kind}-*")
            draft = cache() / f"{kind}.draft"
            if draft.exists():  # whoever made it was interrupted: the lock is ours
                shutil.rmtree(draft)
            make(draft)
            draft.touch()
            draft.rename(place)
        use(place.name)
    return place


def forget_old(pattern: str) -> None:
    """Remove what was kept too long; others may still read what is newer."""
    for path in filter(is_old, cache().glob(pattern)):
        if unused(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def is_old(path: Path) -> bool:
    """Tell whether this was kept long enough."""
    return time.time() - path.stat().st_mtime > KEEP_SECONDS


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Let one process at a time make this."""
    with (cache() / f".{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


_in_use: dict[str, TextIO] = {}


def use(name: str) -> None:
    """Keep this in the cache for as long as this process runs, whoever cleans up there."""
    if name not in _in_use:
        _in_use[name] = (cache() / f".{name}.use").open("w")
        fcntl.flock(_in_use[name], fcntl.LOCK_SH)


def unused(name: str) -> bool:
    """Tell whether no process uses this; who asks holds the lock of its kind, see `alone`."""
    with (cache() / f".{name}.use").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
