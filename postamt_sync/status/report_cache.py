"""One look at how things stand, shared among all who ask while it is fresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from postamt_sync.config import Settings
from postamt_sync.ledger import Ledger
from postamt_sync.status.report import SHOWN, StatusReport, read_report

FRESH = 2.0
"""Seconds for which a look is shown again at least."""

REST = 20.0
"""How many times as long as it took it is shown again."""


def read_report_apart(settings: Settings) -> StatusReport:
    """Look on a connection of our own: the daemon's is busy with mail. Blocking."""
    ledger = Ledger.open_existing(settings.state_dir)
    try:
        return read_report(settings, ledger, quarantine=SHOWN)
    finally:
        ledger.close()


class ReportCache:
    """Shares each look among all who ask while it is fresh."""

    def __init__(
        self, read_report: Callable[[], StatusReport], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`read_report` is called in a thread."""
        self._look = read_report
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._latest: StatusReport | None = None
        self._good_until = 0.0

    async def latest(self) -> StatusReport:
        """Return a look that is fresh enough. Raises PostamtError where the ledger refuses."""
        async with self._one_at_a_time:
            begun = self._clock()
            if self._latest is None or begun >= self._good_until:
                self._latest = await asyncio.to_thread(self._look)
                took = self._clock() - begun
                self._good_until = begun + took + max(FRESH, REST * took)
            return self._latest
