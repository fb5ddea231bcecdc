"""Notes for `status` on how a source of mail, or another service, is doing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.ledger.overview import Overview

NOTED_EVERY = 30.0
"""Seconds between two notes that all is well, for sources that find so all the time."""


class SourceNotes:
    """The notes on one source.

    A note that it works is repeated after `every` seconds at the earliest unless something went
    wrong meanwhile: an idle daemon should not write all the time. Trouble is always noted. If the
    ledger refuses, that is logged and not raised: nothing should fail because of a note, and the
    next one tries again. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        overview: Overview,
        events: Events,
        source: str,
        *,
        every: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._overview = overview
        self._events = events
        self._source = source
        self._every = every
        self._clock = clock
        self._well_at: float | None = None

    async def well(self, detail: str = "") -> bool:
        """Note that the source works, and clear its last trouble. False if nothing was written."""
        return await asyncio.to_thread(self.well_now, detail)

    async def bad(self, error: PostamtError | str) -> bool:
        """Note that it does not work, and why. False if the ledger refuses."""
        return await asyncio.to_thread(self.bad_now, error)

    async def forget(self) -> bool:
        """Remove the note about it. False if the ledger refuses."""
        self._well_at = None
        return await asyncio.to_thread(
            self._written, lambda: self._overview.forget_source(self._source)
        )

    def well_now(self, detail: str = "") -> bool:
        """Do what `well` does, for callers in a thread."""
        now = self._clock()
        if self._well_at is not None and now - self._well_at < self._every:
            return False
        if not self._written(lambda: self._overview.source_ok(self._source, detail)):
            return False
        self._well_at = now
        return True

    def bad_now(self, error: PostamtError | str) -> bool:
        """Do what `bad` does, for callers in a thread."""
        self._well_at = None
        return self._written(lambda: self._overview.source_bad(self._source, error))

    def _written(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except PostamtError as error:
            self._events.ledger_not_written(str(error))
            return False
        return True
