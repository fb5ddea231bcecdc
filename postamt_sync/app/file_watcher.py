"""Files that are read again when they change: the configuration, the TLS certificate.

Directories are watched, not files: editors and renewal tools replace a file by another. Whether the
content is new is decided by the content, so touching a file does nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from postamt_sync.events import Events

SETTLE = 0.3
"""Seconds of quiet after a change: a certificate and its key are replaced one after the other."""
LONGEST_UNREST = 10
"""Times that quiet is waited for: something else in the directory may change all the time."""
LOOK_EVERY = 60.0
"""Seconds between checks without any event, for file systems that tell nothing."""


class FileWatcher:
    """Calls `changed` after the content of any of the files changed."""

    def __init__(
        self, paths: Iterable[Path], changed: Callable[[], Awaitable[None]], events: Events
    ) -> None:
        self._paths = tuple(paths)
        self._changed = changed
        self._events = events

    async def run(self) -> None:
        """Watch until cancelled."""
        stirred = asyncio.Event()
        observer = Observer()
        handler = _Stir(asyncio.get_running_loop(), stirred)
        before = await asyncio.to_thread(_fingerprint, self._paths)
        observer.start()
        try:
            for directory in {path.parent for path in self._paths}:
                try:  # only a running observer says here what it cannot watch
                    observer.schedule(handler, str(directory), recursive=False)
                except OSError as error:
                    self._events.changes_noticed_late(str(directory), str(error))
            while True:
                await _wait(stirred)
                now = await asyncio.to_thread(_fingerprint, self._paths)
                if now != before:
                    before = now
                    await self._changed()
        finally:
            observer.stop()
            await asyncio.to_thread(observer.join)


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


def _fingerprint(paths: Sequence[Path]) -> list[str]:
    prints = []
    for path in paths:
        try:
            # Reading a pipe would wait for ever for somebody who writes.
            known = path.is_file() or not path.exists()
            prints.append(hashlib.sha256(path.read_bytes()).hexdigest() if known else "no file")
        except OSError as error:
            prints.append(str(error.errno))
    return prints
