"""Seconds that pass when a test says so."""

from __future__ import annotations


class Clock:
    """What a part is given in place of `time.monotonic` or `time.time`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
