"""Tells when someone touches the files of the ledger, so that nobody has to look all the time.

Another process may make mail due (`redeliver`, `quarantine retry`), or take the ledger away from
under the daemon. inotify(7) tells of both, in the event loop and without a thread. Nothing that is
promised depends on it: each transaction looks for itself whether its file is the one that the path
names, before a webhook is answered 200. Where the kernel tells nothing (no watch is left, the
directory lies below one that was moved), clocks do: `looks_every`, `guards_every`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from postamt_sync.events import Events
from postamt_sync.ledger.store import FILE_NAME

RARELY = 60.0
"""Seconds between looks at the ledger while we are told of its changes."""
RARELY_GUARDED = 30.0
"""Seconds between looks whether it is in its place; a directory above it may have been moved."""
OFTEN = 2.0
OFTEN_GUARDED = 0.5
"""Where nobody tells us."""
GATHERING = 1.0
"""Seconds from a commit to the look: our own are told of too, and many come at once."""

_MODIFY, _MOVED, _CREATE, _DELETE = 0x2, 0x40 | 0x80, 0x100, 0x200
_SELF = 0x400 | 0x800
"""The directory itself was deleted or moved."""
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLY_DIRECTORIES = 0x0100_0000
_WANTED = _MODIFY | _MOVED | _CREATE | _DELETE | _SELF | _ONLY_DIRECTORIES
_HEAD = struct.Struct("iIII")
"""watch, mask, cookie, length of the name that follows: struct inotify_event."""
_LOG = f"{FILE_NAME}-wal"
_READ = 64 * 1024


class LedgerWatch:
    """Watches a state directory while its block lasts."""

    def __init__(self, directory: Path, events: Events, gathering: float = GATHERING) -> None:
        """`gathering` in seconds, from a commit until it is told."""
        self._directory = directory
        self._events = events
        self._gathering = gathering
        self._descriptor: int | None = None
        self._touched = asyncio.Event()
        self._committed: list[Callable[[], None]] = []
        self._telling: asyncio.TimerHandle | None = None

    @property
    def looks_every(self) -> float:
        """Seconds between looks for what other processes may have changed."""
        return OFTEN if self._descriptor is None else RARELY

    @property
    def guards_every(self) -> float:
        """Seconds between looks whether the ledger is in its place."""
        return OFTEN_GUARDED if self._descriptor is None else RARELY_GUARDED

    def on_commit(self, tell: Callable[[], None]) -> None:
        """Call this soon after something was written to the ledger, even by ourselves."""
        self._committed.append(tell)

    async def touched(self) -> None:
        """Wait until the files were moved, removed or written over, or until it is time to look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.guards_every):
                await self._touched.wait()
            await asyncio.sleep(OFTEN_GUARDED)  # a checkpoint of our own goes on for a while
            self._touched.clear()

    def __enter__(self) -> Self:
        try:
            self._descriptor = watching(self._directory)
        except OSError as error:
            reason = error.strerror or str(error)
            self._events.changes_noticed_late(str(self._directory), reason)
        else:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        if self._telling is not None:
            self._telling.cancel()
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _read(self) -> None:
        assert self._descriptor is not None
        try:
            data = os.read(self._descriptor, _READ)
        except BlockingIOError:
            return
        except OSError:  # it would be readable again at once: from here on clocks look
            self._touched.set()
            self._close()
            return
        for mask, name in parsed(data):
            if mask & _OVERFLOW or (name == _LOG and mask & _MODIFY):
                self._tell_soon()
            if name == FILE_NAME or mask & ~_MODIFY:
                self._touched.set()
            if mask & _IGNORED:  # the directory is gone: from here on clocks look
                self._touched.set()
                self._close()
                return

    def _tell_soon(self) -> None:
        if self._telling is None:
            loop = asyncio.get_running_loop()
            self._telling = loop.call_later(self._gathering, self._tell)

    def _tell(self) -> None:
        self._telling = None
        for tell in self._committed:
            tell()


def watching(directory: Path) -> int:
    """Return a descriptor that tells, and does not block; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        raise OSError("this system has no inotify")
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise _failed()
    if libc.inotify_add_watch(descriptor, os.fsencode(directory), _WANTED) < 0:
        error = _failed()
        os.close(descriptor)
        raise error
    return descriptor


def _failed() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


def parsed(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield the mask of each event that was read, and the name that it is about."""
    at = 0
    while at + _HEAD.size <= len(data):
        _, mask, _, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))
        at += length
