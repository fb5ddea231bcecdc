"""Moments as people and programs are shown them, from seconds since 1970.

A file's name can tell of a year that no calendar has: such a moment is shown as the last there is.
"""

from __future__ import annotations

import datetime as dt

_LAST = dt.datetime(9999, 12, 30, tzinfo=dt.UTC)
"""Of those that every time zone has."""


def local_time(moment: float) -> str:
    """Return date and time of day as the clocks here show them."""
    return _when(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def utc_time(moment: float | None) -> str | None:
    """Return ISO 8601 in UTC, to the second; None for none."""
    return None if moment is None else _when(moment).isoformat(timespec="seconds")


def _when(moment: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(min(max(0.0, moment), _LAST.timestamp()), dt.UTC)
