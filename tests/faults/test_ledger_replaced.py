"""The ledger is deleted, replaced or overwritten under the running daemon, while mail comes.

Bruno's disk is away, so every mail for both is delivered in part, and that he shall get it is said
by nothing but its receipt: whoever forgets what was answered 200 loses his copy.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from postamt_sync.ledger.backup import copy_ledger
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import ANNA, BRUNO, PATIENCE, Home, Running
from tests.end_to_end.webhooks import Reachable, reachable
from tests.faults.forked import fork
from tests.faults.test_kill_webhook import known
from tests.support.campaign import spread

MAILS = 30
BROKEN_AT = 12
"""How many mails were answered before it happens."""
PACE = 0.02
"""Seconds between two notifications, and between two attempts for one."""
LEDGER = "ledger.sqlite3"


@pytest.fixture
async def household(tmp_path: Path, s3: S3Double) -> AsyncIterator[Reachable]:
    async with reachable(tmp_path, s3.environment()) as home:
        yield home


def delete(*suffixes: str) -> Callable[[Path, Path], None]:
    def do(state: Path, older: Path) -> None:
        for suffix in suffixes:
            (state / f"{LEDGER}{suffix}").unlink()

    return do


def delete_the_lock(state: Path, older: Path) -> None:
    (state / "courier.lock").unlink()


def move_older_over(state: Path, older: Path) -> None:
    older.replace(state / LEDGER)


def move_empty_over(state: Path, older: Path) -> None:
    older.write_bytes(b"")
    older.replace(state / LEDGER)


def move_garbage_over(state: Path, older: Path) -> None:
    older.write_bytes(b"no database at all " * 5000)
    older.replace(state / LEDGER)


def copy_older_over(state: Path, older: Path) -> None:
    """In place: the same inode, truncated and written again."""
    shutil.copyfile(older, state / LEDGER)


def copy_garbage_over(state: Path, older: Path) -> None:
    (state / LEDGER).write_bytes(b"no database at all " * 50_000)


def truncate(state: Path, older: Path) -> None:
    os.truncate(state / LEDGER, 0)


def empty_the_directory(state: Path, older: Path) -> None:
    for path in list(state.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def delete_the_directory(state: Path, older: Path) -> None:
    """As far as it goes: the daemon may save the ledger there before all else is gone."""
    empty_the_directory(state, older)
    with suppress(OSError):
        state.rmdir()


def move_the_directory_away(state: Path, older: Path) -> None:
    state.rename(state.with_name("elsewhere"))


def mount_over(state: Path, older: Path) -> None:
    """As far as paths can tell: the directory is another one, with an older ledger in it."""
    state.rename(state.with_name("below"))
    state.mkdir(0o700)
    older.replace(state / LEDGER)


BREAKS = {
    "rm the ledger": delete(""),
    "rm the ledger and its parts": delete("", "-wal", "-shm"),
    "rm its wal": delete("-wal"),
    "rm its shm": delete("-shm"),
    "mv an older one over it": move_older_over,
    "mv an empty file over it": move_empty_over,
    "mv garbage over it": move_garbage_over,
    "cp an older one over it": copy_older_over,
    "cp garbage over it": copy_garbage_over,
    "truncate it": truncate,
    "rm the courier's lock": delete_the_lock,
    "rm all in the state directory": empty_the_directory,
    "rm the state directory": delete_the_directory,
    "mv the state directory away": move_the_directory_away,
    "mount over the state directory": mount_over,
}


class Mails:
    """A stream of mails for both, announced one after the other as SNS does: until it is taken."""

    def __init__(self, home: Reachable, s3: S3Double) -> None:
        self.home = home
        self.s3 = s3
        self.answered: set[str] = set()
        self.statuses: Counter[int] = Counter()

    @staticmethod
    def body(number: int) -> bytes:
        return f"From: c@sender.example\r\nSubject: {number}\r\n\r\nTea?\r\n".encode()

    async def announce(self, number: int) -> None:
        key = f"incoming/{number:05}"
        self.s3.put(key, self.body(number))
        notification = self.home.notification(key, ANNA, BRUNO)
        end = time.monotonic() + PATIENCE
        while key not in self.answered:
            assert time.monotonic() < end, f"never taken: {self.statuses}"
            try:
                async with aiohttp.ClientSession() as session:
                    status = await self.home.post(session, notification)
            except aiohttp.ClientError:
                status = 0
            self.statuses[status] += 1
            if status == 200:
                self.answered.add(key)
            await asyncio.sleep(PACE)

    def expected(self, *mailboxes: str) -> Counter[tuple[str, bytes]]:
        numbers = range(len(self.answered))
        return Counter((box, self.body(number)) for box in mailboxes for number in numbers)


def of(home: Home, mailbox: str) -> Counter[tuple[str, bytes]]:
    return Counter({key: n for key, n in home.contents().items() if key[0] == mailbox})


async def started(home: Reachable) -> Running:
    daemon = await asyncio.to_thread(home.start)
    await asyncio.to_thread(daemon.until, "looked", source="reconcile")
    return daemon


def lose_bruno(home: Home, daemon: Running) -> Path:
    """Take his disk away, once the daemon has made his Maildir and knows it."""
    maildir, away = home.maildirs["bruno"], home.root / "brunos-disk"

    def known() -> bool:
        with home.ledger() as ledger:
            return ledger.work.roots.find(maildir) is not None

    daemon.wait(known, "a Maildir for bruno")
    maildir.rename(away)
    return away


async def soon(true: Callable[[], object], what: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not await asyncio.to_thread(true):
        assert time.monotonic() < end, what()
        await asyncio.sleep(0.1)


def tell(daemon: Running) -> None:
    """Show what the daemon said of its ledger, for whoever reads a failed test."""
    for line in daemon.said():
        if "ledger" in line["event"]:
            print({key: line[key] for key in line if key not in {"time", "level"}})


@pytest.mark.parametrize("how", spread(BREAKS, 3))
async def test_what_was_answered_200_comes_once(
    household: Reachable, s3: S3Double, tmp_path: Path, how: str
) -> None:
    home, mails = household, Mails(household, s3)
    daemon = await started(home)
    away = await asyncio.to_thread(lose_bruno, home, daemon)
    older = tmp_path / "older"
    for number in range(MAILS):
        if number == BROKEN_AT // 2:
            await soon(lambda: of(home, "anna"), daemon.tail)
            copy_ledger(home.state / LEDGER, older)
        if number == BROKEN_AT:
            BREAKS[how](home.state, older)
        await mails.announce(number)
    assert daemon.process.poll() is None, daemon.tail()
    tell(daemon)
    daemon.kill()
    missing = mails.answered - (known(home) if (home.state / LEDGER).exists() else set())
    print(f"{how}: answers {dict(mails.statuses)}, {len(missing)} answered 200 and not in the file")
    assert not missing

    away.rename(home.maildirs["bruno"])
    daemon = await started(home)
    await soon(
        lambda: home.contents() == mails.expected("anna", "bruno"),
        lambda: (
            f"anna {of(home, 'anna').total()} of {MAILS}, bruno {of(home, 'bruno').total()}, "
            f"twice {sum(n > 1 for n in home.contents().values())}: {daemon.tail()}"
        ),
    )
    status = await asyncio.to_thread(home.status)
    (told,) = [source for source in status["sources"] if source["name"] == "ledger"]
    print(f"status: {told['problem']}")
    assert daemon.stop() == 0
    assert home.sync()[0] == 0
    assert home.contents() == mails.expected("anna", "bruno")


async def test_a_directory_that_comes_back_in_time_is_gone_on_with(
    household: Reachable, s3: S3Double
) -> None:
    home, mails = household, Mails(household, s3)
    daemon = await started(home)
    elsewhere = home.state.with_name("elsewhere")
    for number in range(10):
        if number == 5:
            home.state.rename(elsewhere)
            await asyncio.to_thread(
                daemon.until,
                "the ledger was taken away while it was in use; "
                "nothing is acknowledged until it is back",
            )
            async with aiohttp.ClientSession() as session:
                assert (
                    await home.post(session, home.notification("incoming/00005", ANNA, BRUNO))
                    == 503
                )
            elsewhere.rename(home.state)
        await mails.announce(number)
    await asyncio.to_thread(daemon.until, "the ledger is in its place again")
    await soon(lambda: home.contents() == mails.expected("anna", "bruno"), daemon.tail)
    assert len(daemon.events("started")) == 1
    assert not daemon.events("the open ledger is saved")
    assert mails.answered <= known(home)
    assert daemon.stop() == 0


async def test_a_damaged_ledger_is_rebuilt_without_a_person(
    household: Reachable, s3: S3Double
) -> None:
    """Its pages are written over where no log has them any more: only names and bucket know."""
    home, mails = household, Mails(household, s3)
    daemon = await started(home)
    for number in range(30):
        if number == 20:
            await soon(lambda: home.contents() == mails.expected("anna", "bruno"), daemon.tail)
            damage(home.state / LEDGER)
        await mails.announce(number)
    await soon(lambda: home.contents() == mails.expected("anna", "bruno"), daemon.tail)
    assert daemon.process.poll() is None
    tell(daemon)
    (source,) = [s for s in home.status()["sources"] if s["name"] == "ledger"]
    assert "damaged" in source["problem"]
    assert daemon.stop() == 0
    assert home.sync()[0] == 0
    assert home.contents() == mails.expected("anna", "bruno")


async def test_a_ledger_that_is_damaged_at_the_start_is_no_crash_loop(
    home: Home, s3: S3Double
) -> None:
    s3.put("incoming/a", Mails.body(1))
    assert home.sync()[0] == 0
    (home.state / LEDGER).write_bytes(b"no database at all " * 5000)
    s3.put("incoming/b", Mails.body(2))
    assert home.sync()[0] == 0
    assert home.contents() == Counter({("anna", Mails.body(n)): 1 for n in (1, 2)})
    assert list(home.state.glob(f"{LEDGER}.2*")), "it is set aside"


def is_waiting(pid: int) -> bool:
    """Tell whether a process does nothing but sleep, as SQLite does where a ledger is locked."""

    def look() -> tuple[str, str]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], fields[11]  # proc(5): the state, and the time spent in user mode

    seen = set()
    for _ in range(5):
        seen.add(look())
        time.sleep(0.02)
    return len(seen) == 1 and seen.pop()[0] == "S"


@contextmanager
def taken_away_from(home: Home, *verb: str) -> Iterator[Running]:
    """Start a verb, and delete the ledger after it has opened it and before it has written."""
    other = sqlite3.connect(home.state / LEDGER, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    running = fork(home, *verb)
    fds = Path(f"/proc/{running.pid}/fd")
    shm = str(home.state / f"{LEDGER}-shm")
    running.wait(lambda: shm in {os.path.realpath(fd) for fd in fds.iterdir()}, "the ledger open")
    running.wait(lambda: is_waiting(running.pid), "someone who waits for our transaction")
    for path in home.state.glob(f"{LEDGER}*"):
        path.unlink()
    other.close()
    yield running


def test_a_verb_says_that_what_it_did_is_not_kept(home: Home, s3: S3Double) -> None:
    s3.put("incoming/a", Mails.body(1))
    assert home.sync()[0] == 0
    with taken_away_from(home, "redeliver", "incoming/a") as verb:
        assert verb.ended() == 75
    assert "was deleted (ledger.sqlite3) while it was in use; nothing was kept" in verb.tail()


def test_a_pass_saves_what_it_has_open(home: Home, s3: S3Double) -> None:
    s3.put("incoming/a", Mails.body(1))
    assert home.sync()[0] == 0
    next(path for _, path in home.mails()).unlink()  # only the ledger knows that it came
    with taken_away_from(home, "sync", "--json") as run:
        assert run.ended() == 75
    assert list(home.state.glob(f"{LEDGER}.*.rescued"))
    s3.put("incoming/b", Mails.body(2))
    assert home.sync()[0] == 0
    assert home.contents() == Counter({("anna", Mails.body(2)): 1})


def damage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as stream:
        stream.seek(4096)
        stream.write(b"\xff" * (os.fstat(stream.fileno()).st_size - 4096))
