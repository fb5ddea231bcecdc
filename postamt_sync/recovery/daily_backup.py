"""The daily copy of the ledger: beside it, and on a second disk if one is configured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from postamt_sync.awaiting import in_own_thread
from postamt_sync.config import Settings
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.backup import back_up, backed_up_at
from postamt_sync.ledger.source_notes import SourceNotes
from postamt_sync.quantities import count
from postamt_sync.unexpected import as_trouble

DAY = 86_400.0
FIRST_LOOK_AFTER = 60.0
"""Seconds after the start, when there are more urgent things to do."""
LOOK_EVERY = 900.0
"""Seconds after which the copies' age is looked at again, or a failed copy is tried again."""
SOURCE = "copy"
"""The name under which `status` shows how this is doing."""


class DailyBackup:
    """Makes a copy wherever the last one is older than a day. `clock` is in seconds since 1970."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        events: Events,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state_dir = settings.state_dir
        self._directories = settings.backup_directories
        self._notes = SourceNotes(ledger.overview, events, SOURCE)
        self._still_ours = ledger.store.check
        self._events = events
        self._clock = clock

    async def run(self) -> None:
        """Go on until cancelled."""
        await asyncio.sleep(FIRST_LOOK_AFTER)
        while True:
            await in_own_thread(self.make_if_due)  # stopping must not wait for a disk that hangs
            await asyncio.sleep(LOOK_EVERY)

    def make_if_due(self) -> None:
        """Make the copies that are due. Blocking; failures are logged and shown by `status`."""
        due = 0
        problem = ""
        for directory in self._directories:
            started = time.monotonic()
            try:
                if not self._is_due(backed_up_at(directory)):
                    continue
                due += 1
                copy = back_up(self._state_dir, directory, self._still_ours)
            except Exception as error:  # noqa: BLE001  if one disk fails, the other matters more
                problem = str(as_trouble(error))
                self._events.ledger_not_copied(problem)
            else:
                self._events.ledger_copied(str(copy), time.monotonic() - started)
        if problem:
            self._notes.bad_now(problem)
        elif due:
            self._notes.well_now(f"the ledger, to {count(due, 'place')}")

    def _is_due(self, made_at: float | None) -> bool:
        # A copy from the future was made while the clock was wrong.
        return made_at is None or not 0 <= self._clock() - made_at < DAY
