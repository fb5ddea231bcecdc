"""How fast a pass is: mails, and bytes over the network, a second, as measured of late."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from postamt_sync.app.sync import SyncProgress
from postamt_sync.config.byte_rate import shown_rate

MEASURED_OVER = 10.0
"""Seconds. Short, so that the speed shown is the current one, without the time for listing."""


class Speed:
    """The measured speed of late, and the limit in force."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._noted: deque[tuple[float, int, int]] = deque()
        self._limit = 0

    def note(self, progress: SyncProgress) -> None:
        """Note the current progress, and forget what is older than MEASURED_OVER."""
        now = self._clock()
        self._limit = progress.limit
        self._noted.append((now, progress.done, progress.received))
        while len(self._noted) > 2 and self._noted[1][0] <= now - MEASURED_OVER:
            self._noted.popleft()

    @property
    def mails(self) -> float:
        return self._of(1)

    @property
    def bytes(self) -> float:
        return self._of(2)

    def bytes_shown(self, limited: str) -> str:
        """Return the bytes a second for eyes; `limited` leads over to the limit, if any."""
        shown = shown_rate(self.bytes)
        return f"{shown}{limited}{shown_rate(self._limit)}" if self._limit else shown

    def _of(self, which: int) -> float:
        if not self._noted:
            return 0.0
        first, last = self._noted[0], self._noted[-1]
        return (last[which] - first[which]) / max(0.1, last[0] - first[0])
