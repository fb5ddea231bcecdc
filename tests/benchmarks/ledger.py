"""What the ledger costs: python -m tests.benchmarks.ledger [objects].

Comparing a listing of known objects page by page, the poll's look at recent twins spread over the
archive, a burst of 1,000 announcements committed in groups, and asking for what is due in the
middle of a backfill.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.arrival_queue import ArrivalQueue
from postamt_sync.mail.arrival import Arrival, Source
from tests.doubles.inbox import MemoryLog

BUCKET = "postamt-123456789012-eu-west-1-an"
PAGE = 1000
BURST = 1000
RECENT_EVERY = 50
"""One object in so many still has its twin under the recent prefix."""


class CountingLedger:
    """A ledger whose commits of announcements are counted."""

    def __init__(self, ledger: Ledger) -> None:
        self.arrivals = self
        self.commits = 0
        self._arrivals = ledger.arrivals

    def record(self, arrivals: list[Arrival]) -> list[bool]:
        self.commits += 1
        return self._arrivals.record(arrivals)


@contextmanager
def measured(what: str) -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, cpu = time.perf_counter(), time.process_time()
    yield
    seconds, spent = time.perf_counter() - begun, time.process_time() - cpu
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(f"{what:55} {spent:6.2f} s CPU {seconds:6.2f} s, peak + {grown / 1024:.1f} MB")


def key(number: int) -> str:
    """Like SES's ids, these have nothing to do with time."""
    return "incoming/" + hashlib.sha256(str(number).encode()).hexdigest()[:40]


def arrivals(keys: list[str], source: Source) -> list[Arrival]:
    return [
        Arrival(BUCKET, each, source, etag="e" * 32, size=15_000, last_modified=float(n))
        for n, each in enumerate(keys)
    ]


def paged(keys: list[str]) -> Iterator[list[str]]:
    return (keys[start : start + PAGE] for start in range(0, len(keys), PAGE))


def compare(ledger: Ledger, keys: list[str], *, twins: bool = False) -> None:
    for page in paged(keys):
        listed = [(each, "e" * 32, False) for each in page]
        assert ledger.arrivals.unknown(BUCKET, listed, twins=twins) == []


async def burst(ledger: Ledger) -> int:
    counting = CountingLedger(ledger)
    inbox = ArrivalQueue(counting, Events(MemoryLog()), lambda: None)  # type: ignore[arg-type]
    new = [key(-number - 1) for number in range(BURST)]
    said = [inbox.record(arrivals([each], Source.WEBHOOK)) for each in new]
    assert sum(await asyncio.gather(*said)) == BURST
    return counting.commits


def main(count: int) -> None:
    keys = sorted(key(number) for number in range(count))
    with tempfile.TemporaryDirectory() as directory:
        ledger = Ledger.open(Path(directory))
        with measured(f"{count} objects listed for the first time"):
            for page in paged(keys):
                ledger.arrivals.record(arrivals(page, Source.RECONCILE))
        with measured("the same, all known"):
            compare(ledger, keys)
        recent = keys[::RECENT_EVERY]
        with measured(f"{len(recent)} recent twins among them, all known"):
            compare(ledger, recent, twins=True)
        with measured("100 times what is due, while all of it waits"):
            for _ in range(100):
                assert len(ledger.work.due(0.0, 128, ())) == min(128, count)
        with measured(f"{BURST} announcements at once"):
            commits = asyncio.run(burst(ledger))
        print(f"{'':55} in {commits} commits")
        ledger.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
