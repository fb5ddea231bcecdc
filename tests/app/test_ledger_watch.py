"""Who is told of what happens to the files of a ledger, be it done by another process."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postamt_sync.app.ledger_watch import GATHERING, OFTEN, OFTEN_GUARDED, LedgerWatch
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.store import FILE_NAME
from postamt_sync.mail.arrival import Arrival, Source
from tests.doubles.inbox import MemoryLog

PATIENCE = 60


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(tmp_path / "state")
    yield ledger
    ledger.close()


def watch(ledger: Ledger, log: MemoryLog | None = None) -> LedgerWatch:
    return LedgerWatch(ledger.store.path.parent, Events(log or MemoryLog()))


@pytest.mark.slow
async def test_a_commit_of_another_connection_is_told(ledger: Ledger) -> None:
    """`redeliver` and `quarantine retry` are processes of their own."""
    told = asyncio.Event()
    with watch(ledger) as watching:
        watching.on_commit(told.set)
        other = Ledger.open_existing(ledger.store.path.parent)
        other.arrivals.record([Arrival("mail", "incoming/a", Source.SYNC)])
        async with asyncio.timeout(PATIENCE):
            await told.wait()
        other.close()


@pytest.mark.slow
async def test_many_commits_are_told_of_once(ledger: Ledger) -> None:
    told: list[None] = []
    with watch(ledger) as watching:
        watching.on_commit(lambda: told.append(None))
        began = time.monotonic()
        for number in range(50):
            ledger.arrivals.record([Arrival("mail", f"incoming/{number}", Source.SYNC)])
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            while not told:
                await asyncio.sleep(0.01)
        took = time.monotonic() - began
    assert len(told) <= max(1, took / GATHERING), "on a slow disk they take longer than it gathers"


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"no ledger")


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.rename(path)


WAYS: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "moved away": lambda path: path.rename(path.parent.parent / "elsewhere"),
    "replaced": replace,
    "written over": overwrite,
    "its log is removed": lambda path: path.with_name(f"{FILE_NAME}-wal").unlink(),
    "its directory is removed": lambda path: shutil.rmtree(path.parent),
    "its directory is moved": lambda path: path.parent.rename(path.parent.parent / "moved"),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
async def test_a_ledger_that_is_taken_away_is_told(ledger: Ledger, way: str) -> None:
    with watch(ledger) as watching:
        touched = asyncio.create_task(watching.touched())
        await asyncio.sleep(0)
        WAYS[way](ledger.store.path)
        async with asyncio.timeout(watching.guards_every / 2):  # no clock has told it
            await touched


async def test_reading_tells_nobody(ledger: Ledger) -> None:
    """Else each look would cause the next one."""
    told: list[None] = []
    with LedgerWatch(ledger.store.path.parent, Events(MemoryLog()), gathering=0.0) as watching:
        watching.on_commit(lambda: told.append(None))
        touched = asyncio.create_task(watching.touched())
        for _ in range(3):
            ledger.work.due(0.0, 10, ())
            ledger.work.next_due(0.0)
            ledger.store.problem()
        other = Ledger.open_existing(ledger.store.path.parent)
        other.overview.states()
        for _ in range(5):
            await asyncio.sleep(0)
        assert (told, touched.done()) == ([], False)
        touched.cancel()
        other.close()


@pytest.mark.slow
async def test_where_nobody_tells_us_clocks_look(tmp_path: Path) -> None:
    log = MemoryLog()
    with LedgerWatch(tmp_path / "not there", Events(log)) as watching:
        assert (watching.looks_every, watching.guards_every) == (OFTEN, OFTEN_GUARDED)
        async with asyncio.timeout(PATIENCE):
            await watching.touched()
    assert log.events("error") == ["changes are noticed late"]


async def test_no_descriptor_is_left(ledger: Ledger) -> None:
    def open_here() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_here()
    with watch(ledger):
        assert open_here() == before + 1
    assert open_here() == before
