"""How long a mail takes from the webhook's POST to its file in `new/`, and what a burst does.

    python -m tests.benchmarks.latency [--seconds 20] [--burst 1000]

The daemon is a process of its own, and so is S3: what it takes of an interpreter is not the
daemon's. inotify tells when a file is there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp

from postamt_sync.app.ledger_watch import parsed, watching
from postamt_sync.delivery.filename import parse_name
from postamt_sync.mail.arrival import mail_id
from tests.benchmarks.peers import Cost, run
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import ANNA, COMMAND
from tests.end_to_end.letters import Letter, letter, put
from tests.end_to_end.webhooks import Reachable, reachable

RATES = (1, 10, 50)
AT_ONCE = 100
BUCKET = "mail"


class DistantS3:
    """A S3 double in another process, which takes letters while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.environment: dict[str, str] = json.loads(self._answer())

    def put(self, name: str, count: int) -> list[Letter]:
        """Store so many letters, and return them."""
        assert self._process.stdin is not None
        print(name, count, file=self._process.stdin, flush=True)
        self._answer()
        return _letters(name, count)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


@contextmanager
def distant_s3() -> Iterator[DistantS3]:
    command = [sys.executable, "-m", "tests.benchmarks.latency", "--serve"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield DistantS3(process)
        finally:
            process.terminate()


def serve() -> None:
    """Be that other process until its standard input ends."""
    with S3Double.in_thread() as s3:
        print(json.dumps(s3.environment()), flush=True)
        for line in sys.stdin:
            name, count = line.split()
            put(s3, *_letters(name, int(count)))
            print("stored", flush=True)


def _letters(name: str, count: int) -> list[Letter]:
    return [letter(f"{name}-{number}") for number in range(count)]


class Arrivals:
    """When each mail's file was seen in a directory."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = watching(directory)
        self.at: dict[str, float] = {}
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        now = time.perf_counter()
        for _, name in parsed(os.read(self._descriptor, 1 << 16)):
            if ours := parse_name(name):
                self.at.setdefault(ours.mail_id, now)

    async def until(self, mails: Sequence[str]) -> None:
        while not self.at.keys() >= set(mails):
            await asyncio.sleep(0.05)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)


@asynccontextmanager
async def daemon_at_home(s3: DistantS3) -> AsyncIterator[Reachable]:
    with tempfile.TemporaryDirectory() as directory:
        async with reachable(Path(directory), s3.environment) as home:
            daemon = home.start(*COMMAND[1:], "run", "--config", str(home.config))
            await asyncio.to_thread(daemon.until, "started")
            await asyncio.to_thread(daemon.wait, lambda: _has_looked(home), "a full listing")
            yield home
            await asyncio.to_thread(daemon.stop)


def _has_looked(home: Reachable) -> bool:
    with home.ledger() as ledger:
        return any(s.source == "reconcile" and s.ok_at for s in ledger.overview.sources())


def _known_as(one: Letter) -> str:
    return mail_id(BUCKET, one.key)


async def at_a_rate(s3: DistantS3, rate: float, seconds: float) -> tuple[float, float]:
    """Return the median and the 99th percentile in milliseconds."""
    async with daemon_at_home(s3) as home, aiohttp.ClientSession() as session:
        letters = s3.put(f"rate-{rate}", int(rate * seconds))  # not before: a listing finds them
        arrivals = Arrivals(home.maildirs["anna"] / "new")
        bodies = [home.notification(one.key, ANNA) for one in letters]
        sent: dict[str, float] = {}
        posting = []
        begun = time.perf_counter()
        for number, (one, body) in enumerate(zip(letters, bodies, strict=True)):
            await asyncio.sleep(begun + number / rate - time.perf_counter())
            sent[_known_as(one)] = time.perf_counter()
            posting.append(asyncio.create_task(home.post(session, body)))
        assert set(await asyncio.gather(*posting)) == {200}
        await arrivals.until(list(sent))
        arrivals.close()
        waited = sorted((arrivals.at[mail] - at) * 1000 for mail, at in sent.items())
    return statistics.median(waited), waited[len(waited) * 99 // 100]


async def in_a_burst(s3: DistantS3, count: int) -> tuple[float, float]:
    """Return the seconds until the last answer, and until the last file."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with (
        daemon_at_home(s3) as home,
        aiohttp.ClientSession(connector=connector) as session,
    ):
        letters = s3.put("burst", count)
        arrivals = Arrivals(home.maildirs["anna"] / "new")
        bodies = [home.notification(one.key, ANNA) for one in letters]
        begun = time.perf_counter()
        answers = await asyncio.gather(*(home.post(session, body) for body in bodies))
        answered = time.perf_counter() - begun
        assert set(answers) == {200}
        await arrivals.until([_known_as(one) for one in letters])
        arrivals.close()
        return answered, max(arrivals.at.values()) - begun


async def imported(s3: DistantS3) -> Cost:
    """Return what a first import of all that S3 has costs."""
    with tempfile.TemporaryDirectory() as directory:
        async with reachable(Path(directory), s3.environment) as home:
            command = [*COMMAND, "sync", "--config", str(home.config)]
            return await asyncio.to_thread(run, command, home.environment)


def webhook(seconds: float) -> None:
    for rate in RATES:
        with distant_s3() as s3:
            median, late = asyncio.run(at_a_rate(s3, rate, seconds))
        print(f"webhook to new/, {rate:3} a second    p50 {median:5.1f} ms, p99 {late:5.1f} ms")


def burst(count: int) -> None:
    with distant_s3() as s3:
        answered, delivered = asyncio.run(in_a_burst(s3, count))
        import_ = asyncio.run(imported(s3)).seconds
    print(
        f"burst of {count:,} webhooks       slowest answer {answered:.2f} s, all delivered "
        f"after {delivered:.2f} s = {delivered / import_:.2f} x the import of as many"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--burst", type=int, default=1000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    webhook(options.seconds)
    burst(options.burst)


if __name__ == "__main__":
    main()
