"""The ledger is lost while one mailbox could not take its mail and the other could."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import refuse
from tests.end_to_end.home import ANNA, BRUNO, COMMAND, REPOSITORY, Running
from tests.end_to_end.letters import Letter, letter, letter_to_both
from tests.end_to_end.webhooks import Reachable, reachable

SINCE = 1_700_000_000.0
PEOPLE = {"anna": ANNA, "bruno": BRUNO}
OLDER = (letter("older"), letter("older-too", BRUNO))


@pytest.fixture
async def box(tmp_path: Path, s3: S3Double) -> AsyncIterator[Reachable]:
    async with reachable(tmp_path, s3.environment()) as box:
        yield box


async def started(box: Reachable) -> Running:
    """Start the daemon, and wait until it has been through the bucket."""
    daemon = await listening(box)
    await asyncio.to_thread(daemon.until, "looked", source="reconcile")
    return daemon


async def listening(box: Reachable) -> Running:
    daemon = box.start()
    await asyncio.to_thread(daemon.until, "listening")
    return daemon


async def has(box: Reachable, daemon: Running, letters: Sequence[Letter], *names: str) -> None:
    """Wait until each of these mailboxes has each of the letters."""
    wanted = Counter((name, one.body) for one in letters for name in names)
    await asyncio.to_thread(daemon.wait, lambda: wanted <= box.contents(), "mail at home")


async def announced(box: Reachable, one: Letter) -> None:
    assert await box.announce(one.key, *(PEOPLE[name] for name in one.places)) == 200


def unplug(box: Reachable, name: str) -> None:
    box.maildirs[name].rename(box.root / f"{name}-unplugged")


def plug_in(box: Reachable, name: str) -> None:
    (box.root / f"{name}-unplugged").rename(box.maildirs[name])


def put(s3: S3Double, *letters: Letter, since: float = 0.0) -> None:
    for number, one in enumerate(letters):
        s3.put(one.key, one.body, last_modified=SINCE + since + number)


@pytest.mark.parametrize("missed", ["anna", "bruno"])
async def test_a_receipt_comes_again_before_the_listing(
    box: Reachable, s3: S3Double, missed: str
) -> None:
    """The copy that is found does not stand for the one that was never made."""
    both = letter_to_both("both")
    put(s3, *OLDER)
    put(s3, both, since=10)
    (has_it,) = {"anna", "bruno"} - {missed}
    objects = {both.key: s3.objects.pop(both.key)}
    daemon = await started(box)
    await has(box, daemon, OLDER[:1], "anna")
    await has(box, daemon, OLDER[1:], "bruno")
    unplug(box, missed)
    s3.objects |= objects
    await announced(box, both)
    await has(box, daemon, [both], has_it)
    daemon.kill()
    plug_in(box, missed)
    shutil.rmtree(box.state)
    s3.next(refuse(503, "SlowDown"), times=1000)
    again = await listening(box)
    await announced(box, both)
    s3.heal()
    try:
        await has(box, again, [both], "anna", "bruno")
    finally:
        print(box.do("status").stdout, box.do("verify").stdout)
    assert await asyncio.to_thread(again.stop) == 0
    assert box.contents() == Counter(copy for one in (*OLDER, both) for copy in one.expected())


async def test_a_healthy_mailbox_does_not_condemn_one_that_is_stuck(
    box: Reachable, s3: S3Double
) -> None:
    """Twenty mails were answered 200 and never delivered; someone else's newer one was."""
    put(s3, *OLDER)
    daemon = await started(box)
    await has(box, daemon, OLDER[1:], "bruno")
    unplug(box, "bruno")
    twenty = [letter(f"b{number}", BRUNO) for number in range(20)]
    newer = letter("newer")
    put(s3, *twenty, since=10)
    put(s3, newer, since=100)
    for one in (*twenty, newer):
        await announced(box, one)
    await has(box, daemon, [newer], "anna")
    daemon.kill()
    plug_in(box, "bruno")
    shutil.rmtree(box.state)
    again = await started(box)
    try:
        await has(box, again, twenty, "bruno")
    finally:
        print(box.do("status").stdout, box.do("verify").stdout)
    assert await asyncio.to_thread(again.stop) == 0
    assert box.states() == {"delivered": 23}
    assert box.contents() == Counter(
        copy for one in (*OLDER, *twenty, newer) for copy in one.expected()
    )


async def test_what_may_never_have_come_is_told_and_brought_back(
    box: Reachable, s3: S3Double
) -> None:
    """Bruno's disk took the newest mail and not those before it: names cannot tell that."""
    put(s3, *OLDER)
    daemon = await started(box)
    await has(box, daemon, OLDER[1:], "bruno")
    unplug(box, "bruno")
    lost = [letter(f"b{number}", BRUNO) for number in range(20)]
    for number, one in enumerate(lost):
        put(s3, one, since=60 * number + 60)
        await announced(box, one)
    newest = letter("newest", BRUNO)
    copies = {one.key: s3.objects.pop(one.key) for one in lost}
    plug_in(box, "bruno")
    put(s3, newest, since=5000)
    await announced(box, newest)
    await has(box, daemon, [newest], "bruno")
    daemon.kill()
    s3.objects |= copies
    shutil.rmtree(box.state)
    again = await started(box)
    await asyncio.to_thread(again.until, "told the person", cause="absent")
    (absent,) = box.status()["absent"]
    assert (absent["mailbox"], absent["mails"]) == ("bruno", 20)
    assert absent["first"] < absent["last"]
    (alert,) = [
        message_from_bytes(path.read_bytes(), policy=default)
        for place, path in box.mails()
        if b"postamt-sync@localhost" in path.read_bytes()
    ]
    text = alert.get_content()
    print(alert["Subject"], text, box.do("status").stdout, sep="\n")
    assert "bruno: 20 mails, from " in text
    (command,) = [line for line in text.splitlines() if line.startswith("  postamt-sync restore")]
    assert command in box.do("status").stdout.splitlines()
    assert not [one for one in lost if ("bruno", one.body) in box.contents()]
    program, *verb = shlex.split(command)
    assert program == "postamt-sync"
    typed = subprocess.run(
        [*COMMAND, *verb, "--yes"],
        env=box.environ(),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (typed.returncode, typed.stderr) == (0, ""), typed
    await has(box, again, lost, "bruno")
    assert box.status()["absent"] == []
    assert await asyncio.to_thread(again.stop) == 0
    assert box.contents() == Counter(
        copy for one in (*OLDER, *lost, newest) for copy in one.expected()
    )
    assert len(list(box.mails())) == len(lost) + 4, "and one alert"
