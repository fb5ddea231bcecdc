"""All that is promised of speed and size, measured in one run: the table of the README.

    python -m tests.benchmarks.everything                    # the whole table
    python -m tests.benchmarks.everything copies disk        # some of it; NAMES below
    python -m tests.benchmarks.everything --mails 1000 --rounds 1 --peers ~/venv/bin

Peers and server come from the package index at the first run (`peers.py`). Nothing else should run
on the machine meanwhile; the load is told at the beginning and the end. Copies start from nothing,
their rounds alternate, medians are shown. Compare ratios: absolute numbers are the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import idle, instructions, latency, looking
from tests.benchmarks.far_away import far_away
from tests.benchmarks.peers import Cost, copies, environment, ours, programs, run, server
from tests.benchmarks.slow_disk import SlowDisk

RCLONE, OURS, AWS = "rclone copy", "postamt-sync sync", "aws s3 sync"
GROWTH = (1_000, 10_000, 100_000)
CALLS = (1, 20, 80)
"""Milliseconds from a request to its answer."""
SLOW_FLUSH = 10
"""Milliseconds; an SD card takes 5 to 20."""
STARTS = 10
ROWS = 1_000_000
NOWHERE = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Options:
    mails: int
    rounds: int
    seconds: float
    rows: int
    peers: Path
    scratch: Path
    """Nothing in it is removed before all is measured: for a minute ext4 without a journal looks
    at each inode that was just freed before it takes another, in whichever program comes next."""

    def place(self) -> Path:
        """Return a new directory to copy into."""
        return Path(tempfile.mkdtemp(dir=self.scratch))


def machine() -> str:
    model = "an unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            model = line.partition(":")[2].strip()
    return (
        f"{os.cpu_count()} x {model}, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )


def interleaved(
    options: Options,
    endpoint: str,
    extra: Callable[[], dict[str, str]] = dict,
    only: tuple[str, ...] = (),
) -> dict[str, Cost]:
    """Let each peer copy all, round after round, and return the medians."""
    results: dict[str, list[Cost]] = {}
    for _ in range(options.rounds):
        for name, command in copies(options.peers, endpoint, options.place()).items():
            if not only or name in only:
                cost = run(command, environment(endpoint) | extra())
                results.setdefault(name, []).append(cost)
    return {
        name: Cost(*(statistics.median(of) for of in zip(*map(_numbers, costs), strict=True)))
        for name, costs in results.items()
    }


def _numbers(cost: Cost) -> tuple[float, float, float]:
    return cost.seconds, cost.cpu, cost.memory


def measure_copies(options: Options) -> None:
    """A first import beside plain copies."""
    with server(options.peers, options.mails) as endpoint:
        results = interleaved(options, endpoint)
    first = results[RCLONE]
    for name, cost in sorted(results.items(), key=lambda pair: pair[1].seconds):
        print(
            f"{name:20} {options.mails / cost.seconds:7.0f} mails/s"
            f" {first.seconds / cost.seconds:5.2f} x rclone,"
            f" {cost.cpu * 1000 / options.mails:6.2f} s CPU per 1,000"
            f" {cost.cpu / first.cpu:5.2f} x rclone, peak {cost.memory:4.0f} MB"
        )


def measure_disk(options: Options) -> None:
    """Flushes a mail, and what is left of the speed where each takes long."""
    with server(options.peers, options.mails) as endpoint, tempfile.TemporaryDirectory() as place:
        disk = SlowDisk(Path(place), SLOW_FLUSH)
        run(ours(options.place() / "ours"), environment(endpoint) | disk.environment())
        calls = disk.flushes()
        results = interleaved(options, endpoint, disk.environment, (OURS, AWS))
    print(f"flushes              {sum(calls.values()) / options.mails:7.3f} a mail {calls}")
    print(
        f"flush of {SLOW_FLUSH} ms       {options.mails / results[OURS].seconds:7.0f} mails/s"
        f" {results[AWS].seconds / results[OURS].seconds:5.2f} x {AWS}"
    )


def measure_growth(options: Options) -> None:
    """What ten times as many mails cost."""
    for mails in GROWTH:
        with server(options.peers, mails) as endpoint:
            command = ours(options.place() / "ours")
            cost = run(command, environment(endpoint))
            again = run(command, environment(endpoint))
        print(
            f"{mails:7,} mails       {mails / cost.seconds:7.0f} mails/s"
            f" {cost.cpu * 1000 / mails:6.2f} s CPU per 1,000, peak {cost.memory:4.0f} MB;"
            f" a pass with nothing new {again.cpu:.2f} s CPU"
        )


def measure_distance(options: Options) -> None:
    """How much a server that is far away slows us and rclone down."""
    with server(options.peers, options.mails) as endpoint:
        for milliseconds in CALLS:
            with far_away(endpoint, milliseconds) as there:
                results = interleaved(options, there, only=(OURS, RCLONE))
            print(
                f"{milliseconds:2} ms a call         {options.mails / results[OURS].seconds:7.0f}"
                f" mails/s {results[RCLONE].seconds / results[OURS].seconds:5.2f} x rclone"
            )


def measure_webhook(options: Options) -> None:
    """From the POST to the file."""
    latency.webhook(options.seconds)


def measure_burst(_: Options) -> None:
    """Many webhooks at once."""
    latency.burst(1000)


def measure_idle(options: Options) -> None:
    """Memory and wake-ups of a daemon that has nothing to do."""
    for kind in (idle.LEAN, idle.FULL, idle.LISTENED):
        asyncio.run(idle.measure(kind, options.seconds * 3, 30))


@contextmanager
def filled(rows: int) -> Iterator[Path]:
    """Configure a box whose ledger knows so many mails; yield its directory."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory) / "box"
        ours(root)
        if rows:
            ledger = looking.Ledger.open(root / "state")
            looking.fill(ledger, rows)
            ledger.close()
        yield root


def measure_starts(options: Options) -> None:
    """CPU until the first answer, the least of many; and until it listens."""
    program = [sys.executable, "-m", "postamt_sync"]
    with filled(1) as root:
        config = ["--config", str(root / "config.toml")]
        verbs = {
            "--help": ["--help"],
            "status": ["status", *config],
            "status --json": ["status", "--json", *config],
        }
        for name, verb in verbs.items():
            costs = [run([*program, *verb], environment(NOWHERE)).cpu for _ in range(STARTS)]
            print(f"{name:20} {min(costs):5.2f} s CPU")
    for rows in (0, options.rows):
        with filled(rows) as root:
            seconds, cpu = zip(*(_until_started(root) for _ in range(3)), strict=True)
        print(f"started, {rows:9,} rows {min(cpu):5.2f} s CPU, {min(seconds):.2f} s")


def _until_started(root: Path) -> tuple[float, float]:
    command = [sys.executable, "-m", "postamt_sync", "run", "--config", str(root / "config.toml")]
    begun = time.monotonic()
    with subprocess.Popen(
        command, env=environment(NOWHERE), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if '"event": "started"' in line:
                break
        seconds = time.monotonic() - begun
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        process.kill()
    ticks = int(fields[11]) + int(fields[12])
    return seconds, ticks / os.sysconf("SC_CLK_TCK")


def measure_poll(options: Options) -> None:
    """Looking for mail where there is none, among many that are known."""
    for archived in (options.rows // 10, options.rows):
        command = [sys.executable, "-m", "tests.benchmarks.looking", str(archived)]
        subprocess.run(command, check=True)


def measure_instructions(options: Options) -> None:
    """What a mail takes in instructions, and what a Raspberry Pi 4 would need for them."""
    print(instructions.measure(options.peers))


MEASURES: dict[str, Callable[[Options], None]] = {
    "copies": measure_copies,
    "disk": measure_disk,
    "growth": measure_growth,
    "distance": measure_distance,
    "webhook": measure_webhook,
    "burst": measure_burst,
    "idle": measure_idle,
    "starts": measure_starts,
    "poll": measure_poll,
    "instructions": measure_instructions,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--mails", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of what takes its time")
    parser.add_argument("--rows", type=int, default=ROWS, help="of a large ledger")
    parser.add_argument("--peers", type=Path, help="where the other programs are, if anywhere")
    given = parser.parse_args()
    if unknown := set(given.names) - MEASURES.keys():
        parser.error(f"no such measure: {', '.join(sorted(unknown))}")
    peers = given.peers or programs()
    print(machine())
    with tempfile.TemporaryDirectory() as scratch:
        options = Options(
            given.mails, given.rounds, given.seconds, given.rows, peers, Path(scratch)
        )
        for name in given.names or MEASURES:
            print(f"\n{name}: {MEASURES[name].__doc__}", flush=True)
            MEASURES[name](options)
    print(f"\n{machine()}")


if __name__ == "__main__":
    main()
