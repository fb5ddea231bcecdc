"""Times as people and programs are shown them, from seconds since 1970.

A file name can contain a year beyond all calendars; it is shown as the last possible time.
"""

from __future__ import annotations

import datetime as dt

_LAST = dt.datetime(9999, 12, 30, tzinfo=dt.UTC)
"""The last that exists in every time zone."""


def local_time(moment: float) -> str:
    """Return date and time of day in local time."""
    return _when(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def utc_time(moment: float | None) -> str | None:
    """Return ISO 8601 in UTC, to the second; None for None."""
    return None if moment is None else _when(moment).isoformat(timespec="seconds")


def _when(moment: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(min(max(0.0, moment), _LAST.timestamp()), dt.UTC)
