"""What the daemon costs while nothing happens: memory, wake-ups, and its starts.

    python -m tests.benchmarks.idle [--seconds 60] [--mails 30]

The daemon is configured as `bootstrap` does it (webhook, poll, both queues, index, admin listener),
once more with webhook and poll alone, and asks the emulator. Some mail comes first, by the webhook.
A wake-up is a voluntary context switch of any of its threads.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.bootstrap.configuration import Home as Household
from postamt_sync.bootstrap.configuration import configuration
from postamt_sync.demo.cloud import Cloud
from postamt_sync.demo.ses import Ses
from tests.end_to_end.home import ANNA, Home, Running
from tests.support.household import configure
from tests.support.ports import reserved_port

MESSAGE = b"From: c@sender.example\r\nTo: anna@example.com\r\nSubject: tea\r\n\r\nThursday?\r\n"
SETTLED = 90.0
"""Seconds after the start in which everything that happens once has happened."""
LEAN = "webhook and poll"
FULL = "as bootstrap configures it"
LISTENED = "the same with long_poll"


@dataclass
class Box:
    cloud: Cloud
    home: Home


@asynccontextmanager
async def box(kind: str) -> AsyncIterator[Box]:
    """A box whose daemon is yet to be started, and an AWS that has everything."""
    port = reserved_port()
    with tempfile.TemporaryDirectory() as directory:
        async with Cloud(1000, f"http://127.0.0.1:{port}/sns") as cloud:
            await cloud.create()
            home = Home(Path(directory), cloud.environment({}))
            household = Household(
                ["anna", "bruno"],
                maildirs=str(home.root / "mail"),
                state_dir=str(home.state),
                listen=[f"127.0.0.1:{port}"],
                proxied=True,
            )
            text = configuration(cloud.stack, household, cloud.queue_urls)
            admin = "" if kind == LEAN else f"127.0.0.1:{reserved_port()}"
            text += f'\n[admin]\nlisten = "{admin}"\n'
            if kind == LEAN:
                for section in ("queue", "index"):
                    text = re.sub(rf"\[{section}\][^[]*", "", text)
            if kind == LISTENED:
                text = text.replace("[queue]\n", "[queue]\nlong_poll = true\n")
            configure(home.root, text)
            try:
                yield Box(cloud, home)
            finally:
                await asyncio.to_thread(home.close)


async def bring(there: Box, daemon: Running, mails: int) -> None:
    ses = Ses(there.cloud, seed=1)
    for _ in range(mails):
        await ses.receive(MESSAGE, "c@sender.example", (ANNA,))
    await asyncio.to_thread(daemon.until, "delivered", mails)


def threads(pid: int) -> dict[str, tuple[str, int]]:
    """Return name and voluntary switches of each thread."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = dict(
            line.split(":\t", 1)
            for line in (task / "status").read_text().splitlines()
            if ":\t" in line
        )
        found[task.name] = (fields["Name"], int(fields["voluntary_ctxt_switches"]))
    return found


def pss(pid: int) -> dict[str, int]:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split()[0].rstrip(":"): int(line.split()[1]) for line in rollup}


async def measure(kind: str, seconds: float, mails: int) -> None:
    async with box(kind) as there:
        command = ("-m", "postamt_sync", "run", "--debug", "--config", str(there.home.config))
        daemon = there.home.start(*command)
        await asyncio.to_thread(daemon.until, "subscription confirmed")
        await asyncio.to_thread(daemon.until, "looked", source="reconcile")
        await bring(there, daemon, mails)
        await asyncio.sleep(SETTLED)
        before, begun = threads(daemon.pid), time.monotonic()
        await asyncio.sleep(seconds)
        after, elapsed = threads(daemon.pid), time.monotonic() - begun
        total = 0
        for tid, (name, count) in after.items():
            n = count - before.get(tid, (name, 0))[1]
            total += n
            if n:
                print(f"   {name:16} {tid} {n / elapsed:.2f}/s")
        shown = pss(daemon.pid)
        print(
            f"{kind:28} wake-ups {total / elapsed:.2f}/s, PSS {shown['Pss'] / 1024:.1f} MB, "
            f"anon {shown.get('Anonymous', 0) / 1024:.1f}, {len(after)} threads",
            flush=True,
        )
        await asyncio.to_thread(daemon.stop)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--mails", type=int, default=30)
    parser.add_argument("kinds", nargs="*")
    options = parser.parse_args(argv)
    for kind in options.kinds or [LEAN, FULL, LISTENED]:
        asyncio.run(measure(kind, options.seconds, options.mails))


if __name__ == "__main__":
    main()
