"""Durations as people say them: one number, one unit."""

from __future__ import annotations

from datetime import timedelta


def span(seconds: float) -> str:
    """Say how long this is."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{timedelta(seconds=seconds).days} days"


def ago(moment: float | None, now: float) -> str:
    """Say how long ago this was; both in seconds since 1970, None: never."""
    if moment is None:
        return "never"
    seconds = now - moment
    return f"{span(seconds)} ago" if seconds >= 0 else "in the future (is the clock right?)"
