"""Holding still: when the bucket itself, or our own disk, is in the way, no mail is tried."""

from __future__ import annotations

from collections.abc import Callable

from postamt_sync.backoff import growing_pause
from postamt_sync.errors import PostamtError

LONGEST_SECONDS = 300.0
FAILURES = 3
"""Failed fetches without a good one in between that speak of the bucket, not of single objects."""


class CircuitBreaker:
    """Counts failures in a row and says how long to keep still. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.trouble: PostamtError | None = None
        """What is in the way, None if nothing is."""
        self._clock = clock
        self._until = 0.0
        self._times = 0
        self._failures = 0

    @property
    def active(self) -> bool:
        return self._clock() < self._until

    def fetch_failed(self, error: PostamtError) -> None:
        """Note a failure that may be the bucket's."""
        self._failures += 1
        if self._failures >= FAILURES:
            self.begin(error)

    def begin(self, error: PostamtError) -> None:
        """Keep still for a pause that grows from time to time."""
        if self.active:
            return
        self.trouble = error
        self._until = self._clock() + growing_pause(self._times, longest=LONGEST_SECONDS)
        self._times += 1

    def release(self) -> None:
        """All is well: the bucket answered."""
        self.trouble = None
        self._until = 0.0
        self._times = 0
        self._failures = 0
