"""A seeded campaign: mail keeps coming, clients read it, and one or two faults strike at a time."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.demo.dovecot import find_dovecot
from tests.doubles.s3 import S3Double
from tests.doubles.sns import TOPIC
from tests.dovecot import serving
from tests.end_to_end.webhooks import WEBHOOK, reachable
from tests.faults.campaign.faults import FAKETIME, FAULTS
from tests.faults.campaign.grown import grow
from tests.faults.campaign.image import mounted
from tests.faults.campaign.judge import GROWTH, judge, memory, twice
from tests.faults.campaign.odd_disk import COMPILER
from tests.faults.campaign.reader import ImapReader, MaildirReader
from tests.faults.campaign.sender import Sender
from tests.faults.campaign.world import World

POLL = """
[poll]
interval = 10
"""
MEGABYTES = 512
CALM_ROUNDS = 3
"""Rounds after which the daemon's memory counts as filled."""


@dataclass(frozen=True)
class Plan:
    """`faults` by name, see FAULTS; `rate` in mails a second; `disks` of their own, of "mail" and
    "state": none, one or two."""

    seed: int
    rounds: int
    faults: Sequence[str]
    rate: float = 10.0
    disks: Sequence[str] = ()
    rows: int = 0
    """That the ledger has from the beginning."""
    names: int = 0
    """That lie in a Maildir from the beginning."""

    def command(self) -> str:
        """What replays it."""
        faults = ",".join(self.faults)
        disks = "".join(f" --disk {disk}" for disk in self.disks)
        grown = f" --rows {self.rows} --names {self.names}" if self.rows else ""
        return (
            f"python -m tests.faults.campaign --seed {self.seed} --rounds {self.rounds} "
            f'--rate {self.rate:g}{disks}{grown} --faults "{faults}"'
        )


@dataclass
class Outcome:
    wrong: list[str]
    sent: int
    deleted: int
    acts: int
    answers: Counter[str]
    grown: int
    kills: int
    cuts: int

    def __str__(self) -> str:
        return (
            f"{self.sent} mails sent, {self.acts} acts of clients, {self.deleted} deleted, "
            f"{self.kills} kills, {self.cuts} disks lost their power, "
            f"answers {dict(self.answers)}, memory grown by {self.grown >> 20} MB: "
            + ("nothing wrong" if not self.wrong else f"{len(self.wrong)} WRONG")
        )

    def __add__(self, other: Outcome) -> Outcome:
        """Return both as one: what was counted summed up, and the largest growth."""
        return Outcome(
            self.wrong + other.wrong,
            self.sent + other.sent,
            self.deleted + other.deleted,
            self.acts + other.acts,
            self.answers + other.answers,
            max(self.grown, other.grown),
            self.kills + other.kills,
            self.cuts + other.cuts,
        )


def at_hand(disks: Sequence[str]) -> frozenset[str]:
    """Return which of the faults' needs there are: programs, and disks of their own."""
    there = {f"{disk} disk" for disk in disks}
    there |= {"a disk"} if disks else set()
    there |= {"strace"} if shutil.which("strace") else set()
    there |= {"faketime"} if FAKETIME else set()
    there |= {"compiler"} if COMPILER else set()
    return frozenset(there)


async def run(plan: Plan, root: Path) -> Outcome:
    """Carry a campaign out below `root`; what is wrong is in the outcome."""
    with S3Double.in_thread() as s3, ExitStack() as disks:
        images = {
            name: disks.enter_context(mounted(root / f"{name}.ext4", root / name, MEGABYTES))
            for name in plan.disks
        }
        async with reachable(root, s3.environment()) as home:
            home.configure(WEBHOOK.format(port=home.port, scheme="http", topic=TOPIC) + POLL)
            if plan.rows:
                await asyncio.to_thread(grow, home, plan.rows, plan.names)
            chance = random.Random(plan.seed)
            sender = Sender(home, s3, random.Random(plan.seed), plan.rate)
            world = World(home, s3, chance, sender, images)
            return await asyncio.to_thread(_strike, world, plan)


def _strike(world: World, plan: Plan) -> Outcome:
    world.start()
    world.until(lambda: world.daemon and world.daemon.events("started"), 60)
    with _readers(world):
        world.sender.start()
        first = last = 0
        for number in range(plan.rounds):
            count = min(len(plan.faults), world.chance.choice([1, 1, 2]))
            names = world.chance.sample(plan.faults, count)
            print(f"round {number}: {', '.join(names)}", file=sys.stderr, flush=True)
            world.striking = True
            with ExitStack() as open_faults:
                for name in names:
                    open_faults.enter_context(FAULTS[name].begin(world))
                world.live(world.chance.uniform(0.5, 3))
            world.live(world.chance.uniform(0.2, 2))
            world.striking = False
            world.wrong += [
                f"twice after {names}: {n} times" for n in twice_for_good(world).values()
            ]
            if world.daemon is not None:
                last = memory(world.daemon.pid)
                first = first if number > CALM_ROUNDS else max(first, last)
        world.sender.close()
    wrong = judge(world)
    grown = max(0, last - first)
    if grown > GROWTH:
        wrong.append(f"the daemon grew from {first >> 20} to {last >> 20} MB")
    deleted, acts = (len(world.reader.deleted), world.reader.acts) if world.reader else (0, 0)
    return Outcome(
        wrong,
        len(world.sender.sent),
        deleted,
        acts,
        Counter(world.sender.answers),
        grown,
        world.kills,
        world.cuts,
    )


def twice_for_good(world: World) -> dict[tuple[str, bytes], int]:
    """A client that moves a mail while one looks lets it be seen twice for a moment."""
    found = twice(world)
    for _ in range(3):
        if not found:
            break
        world.live(0.5)
        again = twice(world)
        found = {copy: n for copy, n in again.items() if copy in found}
    return found


@contextmanager
def _readers(world: World) -> Iterator[None]:
    with ExitStack() as stack:
        chance = random.Random(world.chance.random())
        maildirs = world.home.maildirs
        if world.images or find_dovecot() is None:
            world.reader = MaildirReader(maildirs, chance)
        else:
            imap = stack.enter_context(serving(**maildirs))
            world.reader = ImapReader(imap, list(maildirs), chance)
        world.reader.start()
        yield
        world.reader.close()


async def run_in(directory: str | None, plan: Plan) -> Outcome:
    """Carry a campaign out in a directory that stays, or in one that goes."""
    if directory is not None:
        Path(directory).mkdir(parents=True, exist_ok=True)
        return await run(plan, Path(directory))
    with tempfile.TemporaryDirectory(prefix="campaign") as scratch:
        return await run(plan, Path(scratch))
