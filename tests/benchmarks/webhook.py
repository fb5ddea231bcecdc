"""How fast a burst of announcements is acknowledged: python -m tests.benchmarks.webhook [count].

Everything is real, also the ledger: what arrives while a commit is under way shares the next (WAL,
synchronous=FULL). Client and server share one process, so the figures are on the slow side.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import aiohttp

from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.arrival_queue import ArrivalQueue
from tests.doubles.inbox import MemoryLog
from tests.doubles.sns import Signer, body, receipt
from tests.doubles.webhook import webhook_at_home

SENDERS = 100
"""Connections at once; each message waits from the start of the burst, as SNS's would."""


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
        with (
            tempfile.TemporaryDirectory() as directory,
            closing(Ledger.open(Path(directory))) as ledger,
        ):
            inbox = ArrivalQueue(ledger, Events(MemoryLog()), lambda: None)
            async with webhook_at_home(inbox=inbox) as home:
                answered, seconds, cpu = await burst(home.signer(version), home.url, count)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"signature {version}: {count} acknowledged in {seconds:.2f} s "
            f"({count / seconds:.0f}/s, CPU {cpu:.2f} s, "
            f"peak {peak:.0f} MB); waited since the burst began: "
            f"p50 {answered[count // 2]:.3f} s, p99 {answered[count * 99 // 100]:.3f} s, "
            f"max {answered[-1]:.3f} s"
        )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
