"""How fast a burst of announcements is acknowledged: python -m tests.benchmarks.webhook [count].

Everything is real but the ledger, which commits to SQLite as the real one does: what arrives while
a commit is under way shares the next (WAL, synchronous=FULL). Client and server share one process,
so the figures are on the slow side.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from postamt_sync.mail.arrival import Arrival
from tests.doubles.household import household
from tests.doubles.sns import Signer, body, receipt

SENDERS = 100
"""Connections at once; each message waits from the start of the burst, as SNS's would."""


class DurableInbox:
    """Group commit to a file, so that each answer pays for durability."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE arrival (key TEXT PRIMARY KEY)")
        self._waiting: list[tuple[Arrival, asyncio.Future[None]]] = []
        self._committing: asyncio.Task[None] | None = None
        self.commits = 0

    async def record(self, arrivals: Sequence[Arrival]) -> int:
        durable = asyncio.get_running_loop().create_future()
        self._waiting += [(arrival, durable) for arrival in arrivals]
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        await durable
        return len(arrivals)

    async def _commit(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            await asyncio.to_thread(self._write, [(arrival.key,) for arrival, _ in group])
            self.commits += 1
            for _, durable in group:
                durable.set_result(None)
        self._committing = None

    def _write(self, keys: list[tuple[str]]) -> None:
        with self._database:
            self._database.executemany("INSERT OR IGNORE INTO arrival VALUES (?)", keys)

    def close(self) -> None:
        self._database.close()


async def burst(signer: Signer, url: str, count: int) -> tuple[list[float], float, float]:
    """Return the seconds until each answer, those until the last, and the CPU's."""
    bodies = [body(signer.notification(receipt(f"incoming/{number}"))) for number in range(count)]
    gate = asyncio.Semaphore(SENDERS)
    connector = aiohttp.TCPConnector(limit=SENDERS)
    async with aiohttp.ClientSession(connector=connector) as session:
        begun, cpu = time.perf_counter(), time.process_time()

        async def post(data: bytes) -> float:
            async with gate, session.post(url, data=data) as answer:
                assert answer.status == 200, await answer.text()
            return time.perf_counter() - begun

        answered = sorted(await asyncio.gather(*map(post, bodies)))
        return answered, time.perf_counter() - begun, time.process_time() - cpu


async def main(count: int) -> None:
    for version in ("1", "2"):
        with tempfile.TemporaryDirectory() as directory:
            inbox = DurableInbox(Path(directory) / "ledger.sqlite")
            async with household(inbox=inbox) as home:
                answered, seconds, cpu = await burst(home.signer(version), home.url, count)
            inbox.close()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"signature {version}: {count} acknowledged in {seconds:.2f} s "
            f"({count / seconds:.0f}/s, {inbox.commits} commits, CPU {cpu:.2f} s, "
            f"peak {peak:.0f} MB); waited since the burst began: "
            f"p50 {answered[count // 2]:.3f} s, p99 {answered[count * 99 // 100]:.3f} s, "
            f"max {answered[-1]:.3f} s"
        )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
