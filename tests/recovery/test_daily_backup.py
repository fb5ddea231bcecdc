"""A disk for the copies that fails in any way is shown while it does, and harms nothing else."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from postamt_sync.config import Settings
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger.backup import BACKUP_NAME, back_up
from postamt_sync.recovery import daily_backup
from postamt_sync.recovery.daily_backup import SOURCE, DailyBackup
from tests.doubles.inbox import MemoryLog
from tests.support.live_settings import live_settings
from tests.support.new_ledger import new_ledger


class FailingDisk(type(Path())):  # type: ignore[misc]
    """A directory on a disk that answers everything with an error."""

    number = errno.EIO

    def is_dir(self) -> bool:
        raise OSError(self.number, os.strerror(self.number), str(self))


class Home:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.ledger = new_ledger(root / "state")
        self.log = MemoryLog()

    def settings(self, second: Path) -> Settings:
        settings = live_settings(state_dir=self.root / "state").current
        return settings.model_copy(update={"backup_dir": second})

    def copy(self, second: Path) -> str | None:
        """Make what copies are due; return the problem that `status` shows."""
        DailyBackup(self.settings(second), self.ledger, Events(self.log)).make_if_due()
        (health,) = [s for s in self.ledger.overview.sources() if s.source == SOURCE]
        return health.problem


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    yield home
    home.ledger.close()


def below_a_file(root: Path) -> Path:
    (root / "file").touch()
    return root / "file" / "copies"


def a_file(root: Path) -> Path:
    (root / "copies").touch()
    return root / "copies"


def not_there(root: Path) -> Path:
    return root / "copies"


def a_directory_in_the_way(root: Path) -> Path:
    (root / "copies" / f"{BACKUP_NAME}.new").mkdir(parents=True)
    return root / "copies"


def failing(root: Path) -> Path:
    return FailingDisk(root / "copies")


@pytest.mark.parametrize(
    "damage", [below_a_file, a_file, not_there, a_directory_in_the_way, failing]
)
def test_a_second_disk_that_fails_is_shown_and_the_first_copy_made(
    home: Home, damage: Callable[[Path], Path]
) -> None:
    problem = home.copy(damage(home.root))
    assert problem is not None
    assert "copies" in problem
    assert "Unexpected" not in problem
    assert (home.root / "state" / BACKUP_NAME).is_file()
    assert home.log.events("error") == ["the ledger cannot be copied"]
    good = home.root / "another"
    good.mkdir()
    assert home.copy(good) is None
    assert (good / BACKUP_NAME).is_file()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_fails_while_it_is_written_is_for_now(home: Home, number: int) -> None:
    def fail() -> None:
        raise OSError(number, os.strerror(number))

    directory = home.root / "copies"
    directory.mkdir()
    back_up(home.root / "state", directory)
    before = (directory / BACKUP_NAME).stat().st_ino
    with pytest.raises(TryLaterError, match=os.strerror(number)):
        back_up(home.root / "state", directory, fail)
    assert [path.name for path in directory.iterdir()] == [BACKUP_NAME]
    assert (directory / BACKUP_NAME).stat().st_ino == before, "the copy before stays"


def test_a_stop_waits_for_no_disk_that_hangs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    reached, gate = threading.Event(), threading.Event()

    class HangingDisk(type(Path())):  # type: ignore[misc]
        def is_dir(self) -> bool:
            reached.set()
            return not gate.wait(60)

    monkeypatch.setattr(daily_backup, "FIRST_LOOK_AFTER", 0.0)
    backup = DailyBackup(
        home.settings(HangingDisk(home.root / "nfs")), home.ledger, Events(home.log)
    )

    async def life() -> None:
        running = asyncio.create_task(backup.run())
        await asyncio.to_thread(reached.wait, 60)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    thread = threading.Thread(target=asyncio.run, args=(life(),), daemon=True)
    thread.start()
    try:
        thread.join(20)
        assert not thread.is_alive(), "the stop waits for the disk"
    finally:
        gate.set()
        thread.join()
