"""How long true notifications wait while strangers besiege the webhook.

    python -m tests.benchmarks.siege [name of a siege ...]

The daemon and each besieger are processes of their own; SNS is played by this one, from 127.0.0.2,
each notification on a new connection. The figures are those of a machine that does all three.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.doubles.besieger import besieged
from tests.doubles.s3 import S3Double
from tests.end_to_end.letters import letter, put
from tests.end_to_end.webhooks import Reachable, reachable

NOTIFICATIONS = 30
PAUSE = 0.2
GIVEN_UP = 15.0
"""Seconds after which SNS gives up."""
FIFTY = tuple(f"127.0.1.{number}" for number in range(1, 51))


@dataclass(frozen=True)
class Siege:
    count: int
    kinds: tuple[str, ...]
    peers: tuple[str, ...] = ("127.0.0.1",)
    rate: float = 200


SIEGES = {
    "nobody": Siege(1, ("silent",)),
    "512 quiet": Siege(512, ("quiet",), rate=7),
    "700 quiet": Siege(700, ("quiet",), rate=7),
    "2000 silent": Siege(2000, ("silent",)),
    "2000 quiet": Siege(2000, ("quiet",)),
    "2000 slow headers": Siege(2000, ("headers",)),
    "2000 slow bodies": Siege(2000, ("body",)),
    "2000 pipelined": Siege(2000, ("pipelined",)),
    "2000 HTTP/1.0": Siege(2000, ("old",)),
    "400 fat bodies": Siege(400, ("fat",), rate=20),
    "2000 mixed": Siege(2000, ("silent", "quiet", "headers", "body", "garbage")),
    "50 peers x 40": Siege(2000, ("silent", "quiet", "headers", "body", "garbage"), FIFTY),
    "50 peers x 8 fat": Siege(400, ("fat",), FIFTY, 20),
}


async def answers(
    home: Reachable, host: str, s3: S3Double, name: str
) -> tuple[Counter[str], list[float]]:
    """Send notifications; return how they were answered, and how many seconds each waited."""
    how: Counter[str] = Counter()
    waited: list[float] = []
    for number in range(NOTIFICATIONS):
        one = letter(f"{name.replace(' ', '-').replace('/', '-')}-{number}")
        put(s3, one)
        begun = time.perf_counter()
        connector = aiohttp.TCPConnector(local_addr=(host, 0))
        timeout = aiohttp.ClientTimeout(total=GIVEN_UP)
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                how[
                    str(await home.post(session, home.notification(one.key, "anna@example.com")))
                ] += 1
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            how[type(error).__name__] += 1
        waited.append(time.perf_counter() - begun)
        if sum(how.values()) >= 3 and how.total() == how["TimeoutError"]:
            break  # nobody comes through; SNS would go on for an hour
        await asyncio.sleep(PAUSE)
    return how, sorted(waited)


def resident(pid: int) -> int:
    """Return the resident memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


def most(pid: int) -> int:
    """Return the most resident memory that a process ever had, in MB; compare MemoryMax=."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def main(names: list[str]) -> None:
    for name in names or SIEGES:
        siege = SIEGES[name]
        with tempfile.TemporaryDirectory() as directory, S3Double.in_thread() as s3:
            async with reachable(Path(directory), s3.environment()) as home:
                daemon = home.start()
                await asyncio.to_thread(daemon.until, "looked", source="reconcile")
                before = resident(daemon.pid)
                async with besieged(
                    ("127.0.0.1", home.port), siege.count, siege.kinds, siege.peers, siege.rate
                ) as stranger:
                    how, waited = await answers(home, "127.0.0.2", s3, name)
                    during, files = resident(daemon.pid), descriptors(daemon.pid)
                    counts = await asyncio.to_thread(stranger.lift)
                    peak = most(daemon.pid)
                print(
                    f"{name}: {dict(how)}, median {waited[len(waited) // 2]:.3f} s, "
                    f"slowest {waited[-1]:.3f} s; "
                    f"memory {before} -> {during} MB, at most {peak}, {files} descriptors; "
                    f"besieger {counts}",
                    flush=True,
                )
                await asyncio.to_thread(daemon.kill)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
