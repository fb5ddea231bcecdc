"""What looking costs: python -m tests.benchmarks.seeing [mails].

One look at a ledger of so many delivered mails, both views of it, and how long the event loop
stands still meanwhile; then a real daemon with the
admin listener off and on: what it took to start, its memory then, and after metrics and page were
asked for.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from postamt_sync.config import Settings, load
from postamt_sync.ledger import Ledger
from postamt_sync.status import metrics, page
from postamt_sync.status.report import Runtime
from postamt_sync.status.report_cache import ReportCache, read_report_apart
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Home, Running
from tests.status.seeded import deliver_all

GROUP = 500
ROUNDS = 5


def memory(pid: int) -> float:
    """Proportional set size in MB: what is shared with other processes counts in part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    (pss,) = (line for line in lines if line.startswith("Pss:"))
    return int(pss.split()[1]) / 1024


def processor(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def views(count: int) -> None:
    with tempfile.TemporaryDirectory() as directory, S3Double.in_thread() as s3:
        home = Home(Path(directory), s3.environment())
        ledger = Ledger.open(home.state)
        begun = time.process_time()
        for start in range(0, count, GROUP):
            numbers = range(start, min(count, start + GROUP))
            deliver_all(ledger, [(f"incoming/{n}", n * 30.0, ("anna",)) for n in numbers])
        seconds = time.process_time() - begun
        print(f"recorded, prepared and settled: {seconds / count * 1e6:.0f} µs CPU a mail")
        ledger.close()
        settings = load(home.config, {})
        for what, look in (
            ("a look", lambda: read_report_apart(settings)),
            (
                "a look and the metrics",
                lambda: metrics.render(read_report_apart(settings), Runtime()),
            ),
            ("a look and the page", lambda: page.render(read_report_apart(settings), Runtime())),
        ):
            took = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                look()
                took.append(time.perf_counter() - begun)
            print(f"{what} at {count} mails: {statistics.median(took) * 1000:.0f} ms")
        asyncio.run(lag(settings))


async def lag(settings: Settings) -> None:
    """Tell for how long the event loop stands still while it is looked again and again."""
    looks = ReportCache(lambda: read_report_apart(settings), clock=itertools.count(0, 1e9).__next__)
    looking = asyncio.gather(*(looks.latest() for _ in range(ROUNDS)))
    worst, before = 0.0, time.perf_counter()
    while not looking.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        worst, before = max(worst, now - before), now
    print(f"meanwhile the event loop stood still for at most {worst * 1000:.0f} ms")


def ask(daemon: Running, path: str) -> None:
    url = daemon.until("showing how things stand")["url"]
    with urllib.request.urlopen(url + path, timeout=60) as answer:
        assert answer.status == 200


def daemons() -> None:
    with tempfile.TemporaryDirectory() as directory, S3Double.in_thread() as s3:
        home = Home(Path(directory), s3.environment())
        found: dict[str, list[float]] = {}
        for _ in range(ROUNDS):  # taken in turns, for the machine is not ours alone
            for listen in ("", "127.0.0.1:0"):
                which = "with the listener" if listen else "without it"
                daemon = home.start(POSTAMT_SYNC_ADMIN__LISTEN=listen)
                daemon.until("looked", source="reconcile")
                cpu = f"{which}: s CPU until it has looked around"
                found.setdefault(cpu, []).append(processor(daemon.pid))
                found.setdefault(f"{which}: MB", []).append(memory(daemon.pid))
                if listen:
                    for path in ("metrics", ""):
                        ask(daemon, path)
                        after = f"{which}: MB after /{path} was asked for"
                        found.setdefault(after, []).append(memory(daemon.pid))
                daemon.stop()
        for what, values in found.items():
            print(f"{what}: {statistics.median(values):.2f}")
        home.close()


if __name__ == "__main__":
    views(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    daemons()
