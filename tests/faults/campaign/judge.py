"""Says what the house owes its people: every mail, once, byte for byte, and without their help."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from tests.faults.campaign.reader import OURS
from tests.faults.campaign.world import World

RECOVERY = 150.0
"""Seconds without any fault in which all that was sent has to arrive without a person: pauses
between attempts grow to minutes only after many of them."""
ABSENT = """
SELECT key FROM objects WHERE state = 'absent' OR mail IN
    (SELECT mail FROM deliveries WHERE state = 'absent')
"""
ALERTS = "0.M000000K"
"""How the file names of alerts begin, which S3 never stored."""
GROWTH = 60 << 20
"""Bytes by which the daemon may have grown: caches fill, allocators keep."""


def judge(world: World, within: float = RECOVERY) -> list[str]:
    """Wait for what is still to come, then return every broken promise."""
    wanted = _wanted(world)
    world.until(lambda: set(_lost(world, wanted)) <= _absent(world) and _is_settled(world), within)
    world.stop()
    wrong = list(world.wrong)
    if _lost(world, wanted) and world.forgotten:
        # What was under way when its ledger was lost is shown as absent, and one verb brings it.
        restored = world.home.do("restore", "--only", "absent", "--yes")
        if restored.returncode != 0:
            wrong.append(f"restore: {restored.stdout} {restored.stderr}")
    found = _copies(world)
    wrong += [f"lost: {_short(copy)}" for copy in _lost(world, wanted)]
    wrong += [f"twice: {_short(copy)}: {n} times" for copy, n in twice(world).items()]
    strange = {body for _, body in found} - {body for _, body in wanted}
    wrong += [f"never sent: {body[:80]!r}" for body in strange]
    wrong += [f"a draft was left: {path.name}" for path in _left(world)]
    states = world.home.states()
    if set(states) - {"delivered", "absent"} or ("absent" in states and not world.forgotten):
        wrong.append(f"the ledger says: {states}")
    return wrong


def twice(world: World) -> dict[tuple[str, bytes], int]:
    """Return the copies that a mailbox has more than once, whatever the folder.

    What a disk that is dead just now does not give is not looked at.
    """
    return {copy: n for copy, n in _copies(world, OSError).items() if n > 1}


def memory(pid: int) -> int:
    """Return the resident bytes of a process."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except FileNotFoundError:  # it ended a moment ago, which someone else judges
        return 0
    return next((int(x.split()[1]) * 1024 for x in lines if x.startswith("VmRSS:")), 0)


def _left(world: World) -> list[Path]:
    """Return the drafts that nobody goes on with.

    An alert is known to its ledger alone: what was being written of it when that was lost is left
    for Dovecot to sweep.
    """
    return [
        path
        for path in world.home.drafts()
        if not (world.forgotten and path.name.startswith(ALERTS))
    ]


def _is_settled(world: World) -> bool:
    """Whether the ledger waits for nothing."""
    if world.daemon is None:
        return True
    with closing(sqlite3.connect(world.home.state / "ledger.sqlite3")) as db:
        (waiting,) = db.execute("SELECT count(*) FROM objects WHERE state = 'waiting'").fetchone()
    return not waiting


def _absent(world: World) -> set[tuple[str, bytes]]:
    """Return the copies that a ledger which was lost once calls absent, and told a person so."""
    if not world.forgotten:
        return set()
    with closing(sqlite3.connect(world.home.state / "ledger.sqlite3")) as db:
        keys = {key for (key,) in db.execute(ABSENT)}
    return {copy for one in world.sender.sent if one.key in keys for copy in one.expected()}


def _wanted(world: World) -> set[tuple[str, bytes]]:
    return {copy for one in world.sender.sent for copy in one.expected()}


def _copies(
    world: World, passed_over: type[OSError] = FileNotFoundError
) -> Counter[tuple[str, bytes]]:
    copies: Counter[tuple[str, bytes]] = Counter()
    for place, path in world.home.mails():
        with suppress(passed_over):  # a client may have moved it meanwhile
            body = path.read_bytes()
            if place.folder != "INBOX":
                # Dovecot may write line feeds alone where a client moves a mail to.
                body = body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            if not body.startswith(OURS):
                copies[place.mailbox, body] += 1
    return copies


def _lost(world: World, wanted: set[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    deleted = world.reader.deleted if world.reader is not None else set()
    return sorted(wanted - set(_copies(world)) - deleted)


def _short(copy: tuple[str, bytes]) -> str:
    place, body = copy
    subject = next((x for x in body.split(b"\r\n") if x.startswith(b"Subject:")), body[:60])
    return f"{place} {subject.decode(errors='replace')} ({len(body)} bytes)"
