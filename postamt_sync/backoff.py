"""Not trying what cannot succeed now: growing pauses with jitter, on a clock that nobody sets."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from postamt_sync.errors import PostamtError

_T = TypeVar("_T")

FIRST_SECONDS = 10.0
LONGEST_SECONDS = 3600.0
LONGEST_BREAK = 300.0
"""Seconds for which a circuit breaker stays open at most, unless it is told otherwise."""


def growing_pause(
    attempts: int,
    *,
    longest: float = LONGEST_SECONDS,
    jitter: Callable[[], float] = random.random,
) -> float:
    """Return the seconds to wait after `attempts` failures before this one (0: this is the first).

    From 10 s it doubles up to `longest`; up to a fifth is taken off by chance, so that what failed
    together does not come back together. `jitter` returns a number from 0 to 1.
    """
    pause = min(longest, FIRST_SECONDS * 2.0 ** min(attempts, 30))
    return max(FIRST_SECONDS, pause * (1 - jitter() / 5))


def looked_until(
    end: float,
    look: Callable[[], _T | None],
    pause: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> _T | None:
    """Look again and again, at least once, until something is found or `end` on this clock is past.

    Blocking.
    """
    while (found := look()) is None and clock() < end:
        sleep(pause)
    return found


class CircuitBreaker:
    """Counts failures in a row and says how long to try nothing. Not thread-safe."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        failures: int = 1,
        longest: float = LONGEST_BREAK,
    ) -> None:
        """`clock` is monotonic. After `failures` in a row it opens, for at most `longest` seconds.

        The first pause is 10 s (`growing_pause`).
        """
        self.trouble: PostamtError | None = None
        """What is in the way, None if nothing is. It stays until something succeeds."""
        self._clock = clock
        self._limit = failures
        self._longest = longest
        self._failures = 0
        self._until = float("-inf")
        self._times = 0

    @property
    def is_open(self) -> bool:
        """Whether nothing is to be tried now."""
        return self._clock() < self._until

    @property
    def retry_at(self) -> float:
        """When it may be tried again, on the monotonic clock; long ago if nothing is in the way."""
        return self._until

    def failed(self, error: PostamtError) -> None:
        """Note a failure; one alone may be the fault of what was tried."""
        self._failures += 1
        if self._failures >= self._limit:
            self.open(error)

    def open(self, error: PostamtError) -> None:
        """Try nothing for a pause that grows from time to time."""
        if self.is_open:
            return
        self.trouble = error
        self._until = self._clock() + growing_pause(self._times, longest=self._longest)
        self._times += 1

    def succeeded(self) -> None:
        """All is well: what was tried answered."""
        self.trouble = None
        self._until = float("-inf")
        self._times = 0
        self._failures = 0
