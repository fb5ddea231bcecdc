"""Files that are read again when they change: the configuration, the TLS certificate.

Directories are watched, not files: editors and renewal tools replace a file by another. Whether the
content is new is decided by the content, so touching a file does nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from postamt_sync.events import Events
from postamt_sync.regular_file import read_small

SETTLE = 0.3
"""Seconds of quiet after a change: a certificate and its key are replaced one after the other."""
LONGEST_UNREST = 10
"""Times that quiet is waited for: something else in the directory may change all the time."""
LOOK_EVERY = 60.0
"""Seconds between checks without any event, for file systems that tell nothing."""


class FileWatcher:
    """Calls `changed` after the content of any of the files changed.

    Which they are is asked each time: a change may name others.
    """

    def __init__(
        self,
        paths: Callable[[], Iterable[Path]],
        changed: Callable[[], Awaitable[None]],
        events: Events,
    ) -> None:
        self._paths = paths
        self._changed = changed
        self._events = events

    async def run(self) -> None:
        """Watch until cancelled."""
        stirred = asyncio.Event()
        observer = Observer()
        handler = _Stir(asyncio.get_running_loop(), stirred)
        watched: dict[Path, ObservedWatch | None] = {}
        before = await asyncio.to_thread(_fingerprints, self._paths())
        observer.start()
        try:
            while True:
                self._follow({path.parent for path in before}, watched, observer, handler)
                await _wait(stirred)
                now = await asyncio.to_thread(_fingerprints, self._paths())
                while now != before:
                    before = now
                    await self._changed()
                    # Files that are named only now may have changed since they were read: once
                    # more, then, with their directories watched.
                    paths = set(self._paths())
                    if paths <= before.keys():
                        before = {path: before[path] for path in paths}
                        break
                    self._follow({path.parent for path in paths}, watched, observer, handler)
                    now = await asyncio.to_thread(_fingerprints, paths)
        finally:
            observer.stop()
            await asyncio.to_thread(observer.join)

    def _follow(
        self,
        directories: AbstractSet[Path],
        watched: dict[Path, ObservedWatch | None],
        observer: BaseObserver,
        handler: FileSystemEventHandler,
    ) -> None:
        """Watch these directories and no others; one that cannot be is tried again, told once."""
        for directory in watched.keys() - directories:
            watch = watched.pop(directory)
            if watch is not None:
                with suppress(KeyError, OSError):  # it may be gone, and its watch with it
                    observer.unschedule(watch)
        for directory in directories:
            if watched.get(directory) is not None:
                continue
            try:  # only a running observer says here what it cannot watch
                watched[directory] = observer.schedule(handler, str(directory), recursive=False)
            except OSError as error:
                if directory not in watched:
                    self._events.changes_noticed_late(str(directory), str(error))
                watched[directory] = None


class _Stir(FileSystemEventHandler):
    """Brings events from the observer's thread into the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stirred: asyncio.Event) -> None:
        self._loop = loop
        self._stirred = stirred

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in {"opened", "closed_no_write"} and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stirred.set)


async def _wait(stirred: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_EVERY):
            await stirred.wait()
    except TimeoutError:
        return
    for _ in range(LONGEST_UNREST):
        if not stirred.is_set():
            return
        stirred.clear()
        await asyncio.sleep(SETTLE)


def _fingerprints(paths: Iterable[Path]) -> dict[Path, str]:
    return {path: fingerprint(path) for path in paths}


def fingerprint(path: Path) -> str:
    """Return what changes with the content of a file; of one that cannot be read, why."""
    try:
        return hashlib.sha256(read_small(path, links=True)).hexdigest()
    except OSError as error:
        return str(error.errno)
