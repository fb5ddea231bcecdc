"""Pauses between attempts: growing, with jitter, measured on a clock that nobody sets."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 10.0
LONGEST_SECONDS = 3600.0


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
