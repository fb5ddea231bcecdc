"""Durations as people say them: one number and one unit."""

from __future__ import annotations

import math

from postamt_sync.ledger.history import Latencies
from postamt_sync.quantities import span


def ago(moment: float | None, now: float) -> str:
    """Word how long ago something was; both in seconds since 1970, None for never."""
    if moment is None:
        return "never"
    seconds = now - moment
    return f"{span(seconds)} ago" if seconds >= 0 else "in the future (is the clock right?)"


def bound(seconds: float) -> str:
    """Word the bound of a class of durations in its largest unit: 60 s is 1 min."""
    for unit, name in ((86_400, "day"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:g} {name}"
    return f"{seconds:g} s"


def in_words(latencies: Latencies) -> str:
    """Word the median and the 95th percentile of latencies; "" if no mail was timed."""
    half, most = latencies.within(0.5), latencies.within(0.95)
    if half is None or most is None:
        return ""
    return f"Half of it came {_within(half)}, 95 of 100 {_within(most)}."


def _within(seconds: float) -> str:
    return f"within {bound(seconds)}" if math.isfinite(seconds) else "after more than a day"
