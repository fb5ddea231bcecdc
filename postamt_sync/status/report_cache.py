"""One report, shared among all requests while it is fresh."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from postamt_sync.config import Settings
from postamt_sync.ledger import Ledger
from postamt_sync.status.report import SHOWN, StatusReport, read_report

FRESH = 2.0
"""The minimum number of seconds for which a report is reused."""

REST = 20.0
"""For how many times as long as it took to read a report is reused."""


def read_report_apart(settings: Settings) -> StatusReport:
    """Read a report on a connection of its own, since the daemon's is busy with mail. Blocking."""
    ledger = Ledger.open_existing(settings.state_dir)
    try:
        return read_report(settings, ledger, quarantine=SHOWN)
    finally:
        ledger.close()


class ReportCache:
    """Shares each report among all requests while it is fresh."""

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
        """Return a fresh enough report. Raises PostamtError if the ledger cannot be read."""
        async with self._one_at_a_time:
            begun = self._clock()
            if self._latest is None or begun >= self._good_until:
                self._latest = await asyncio.to_thread(self._look)
                took = self._clock() - begun
                self._good_until = begun + took + max(FRESH, REST * took)
            return self._latest
