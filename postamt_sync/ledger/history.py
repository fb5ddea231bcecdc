"""Totals of all deliveries: mails per day, and how long their copies took.

Both are counted in the transaction that settles a copy, so that reading them costs next to nothing
and a restart forgets nothing. The time runs from when S3 stored the mail (its LastModified, in
whole seconds) until the copy is durable in its Maildir. Copies that could not have been delivered
sooner are not timed: mail that is older than this ledger, and what a person asked for again.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from postamt_sync.ledger.store import Store

BOUNDS = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0, math.inf)
"""Seconds: the inclusive upper bounds of the classes in which latencies are counted."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """How many copies fell into each class, by its upper bound, in the order of BOUNDS.

    `seconds` is the sum over all copies.
    """

    copies: dict[float, int]
    seconds: float

    @property
    def total(self) -> int:
        return sum(self.copies.values())

    def within(self, share: float) -> float | None:
        """Return the bound within which this share (0 to 1) of the copies came; None: no copies."""
        wanted, so_far = share * self.total, 0
        for bound, copies in self.copies.items():
            so_far += copies
            if so_far and so_far >= wanted:
                return bound
        return None


class History:
    """Reads the totals. Days are calendar days in this machine's time zone."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def days(self, first: dt.date, last: dt.date) -> dict[dt.date, int]:
        """Return for each day from `first` to `last` how many mails stored then were delivered."""
        with self._store.reading() as db:
            counted = dict(
                db.execute(
                    "SELECT day, mails FROM days WHERE day BETWEEN ? AND ?",
                    (first.isoformat(), last.isoformat()),
                ).fetchall()
            )
        span = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
        return {day: counted.get(day.isoformat(), 0) for day in span}

    def latencies(self, first: dt.date = dt.date.min) -> Latencies:
        """Return how long the copies took of all mail that was stored on `first` or later."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT within, sum(copies), sum(seconds) FROM latencies"
                " WHERE day >= ? GROUP BY within",
                (first.isoformat(),),
            ).fetchall()
        counted = {within: copies for within, copies, _ in rows}
        return Latencies(
            {bound: counted.get(bound, 0) for bound in BOUNDS}, float(sum(row[2] for row in rows))
        )


def remember(db: sqlite3.Connection, settled: Mapping[str, int], now: float) -> None:
    """Count the copies that were just settled, by mail id, in the transaction that settles them."""
    mails: Counter[str] = Counter()
    latencies: dict[tuple[str, float], tuple[int, float]] = {}
    rows = db.execute(
        "SELECT mail, date(last_modified, 'unixepoch', 'localtime'), last_modified,"
        " edition = 0 AND last_modified >= (SELECT at FROM began),"
        " (SELECT count(*) FROM deliveries d WHERE d.mail = o.mail AND d.state = 'delivered')"
        " FROM objects o WHERE mail IN (SELECT value FROM json_each(?))"
        # Alerts and sent mail are not incoming mail.
        " AND evidence IS NOT 'sent' AND last_modified IS NOT NULL",
        (json.dumps([mail for mail, copies in settled.items() if copies]),),
    )
    for mail, day, stored, timed, ever in rows:
        if day is None:
            continue
        copies = settled[mail]
        mails[day] += ever == copies
        if timed:
            seconds = max(0.0, now - stored)
            key = (day, next(b for b in BOUNDS if seconds <= b))
            before, so_far = latencies.get(key, (0, 0.0))
            latencies[key] = before + copies, so_far + copies * seconds
    db.executemany(
        "INSERT INTO days (day, mails) VALUES (?, ?)"
        " ON CONFLICT (day) DO UPDATE SET mails = mails + excluded.mails",
        [(day, count) for day, count in mails.items() if count],
    )
    db.executemany(
        "INSERT INTO latencies (day, within, copies, seconds) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (day, within) DO UPDATE"
        " SET copies = copies + excluded.copies, seconds = seconds + excluded.seconds",
        [(*key, *counted) for key, counted in latencies.items()],
    )
