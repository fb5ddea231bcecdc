"""Whether a path still names what is open here, whatever was done to it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from postamt_sync.errors import TryLaterError
from postamt_sync.ledger import CourierLock, Ledger
from postamt_sync.ledger.backup import BACKUP_NAME, back_up
from postamt_sync.ledger.open_file import OpenFile
from postamt_sync.ledger.store import FILE_NAME, PARTS, LedgerDamagedError, LedgerReplacedError
from tests.doubles.ledger import event

PARAMETERS = pytest.mark.parametrize("part", PARTS)


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger.open(tmp_path / "state")) as ledger:
        ledger.store.sign()
        yield ledger


def part_of(ledger: Ledger, part: str) -> Path:
    return Path(f"{ledger.store.path}{part}")


def refuses(ledger: Ledger) -> bool:
    """Tell whether both a write and a read are refused."""
    with pytest.raises(LedgerReplacedError):
        ledger.arrivals.record([event()])
    with pytest.raises((LedgerReplacedError, LedgerDamagedError)):
        ledger.overview.states()
    return True


@pytest.mark.slow
def test_a_ledger_in_its_place_may_be_used_by_many(ours: Ledger, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for number in range(3000):  # over several checkpoints
        if number % 100 == 0:
            with closing(Ledger.open_existing(state)) as other:
                other.arrivals.record([event(key=f"incoming/other-{number}")])
            back_up(state, state)
        ours.arrivals.record([event(key=f"incoming/{number}")])
    assert ours.store.problem() == ""


@PARAMETERS
def test_a_deleted_file_is_noticed(ours: Ledger, part: str) -> None:
    part_of(ours, part).unlink()
    assert ours.store.problem() == f"deleted ({FILE_NAME}{part})"
    assert not ours.store.may_return
    assert refuses(ours)


@PARAMETERS
def test_a_replaced_file_is_noticed(ours: Ledger, part: str, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(part_of(ours, part).read_bytes())
    (tmp_path / "other").replace(part_of(ours, part))
    assert ours.store.problem() == f"replaced ({FILE_NAME}{part})"
    assert refuses(ours)


def test_a_file_whose_directory_went_and_came_back_is_in_place(
    ours: Ledger, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.rename(tmp_path / "away")
    assert ours.store.may_return
    assert refuses(ours)
    (tmp_path / "away").rename(state)
    ours.arrivals.record([event()])


def test_a_file_whose_directory_is_a_file_now_is_out_of_reach(ours: Ledger, tmp_path: Path) -> None:
    (tmp_path / "state").rename(tmp_path / "away")
    (tmp_path / "state").write_bytes(b"")
    assert ours.store.problem().startswith("out of reach")
    assert refuses(ours)


def test_a_link_to_where_it_is_now_names_it(ours: Ledger, tmp_path: Path) -> None:
    (tmp_path / "state").rename(tmp_path / "other-disk")
    (tmp_path / "state").symlink_to(tmp_path / "other-disk")
    ours.arrivals.record([event()])


def older_copy(state: Path) -> None:
    shutil.copyfile(state / BACKUP_NAME, state / FILE_NAME)


def garbage(state: Path) -> None:
    (state / FILE_NAME).write_bytes(os.urandom(1 << 20))


def shorter(state: Path) -> None:
    os.truncate(state / FILE_NAME, 4096)


@pytest.mark.slow
@pytest.mark.parametrize("how", [older_copy, garbage, shorter])
def test_a_file_that_was_overwritten_in_place_is_noticed(
    ours: Ledger, tmp_path: Path, how: Callable[[Path], None]
) -> None:
    ours.arrivals.record([event(key=f"incoming/{n}") for n in range(500)])
    back_up(tmp_path / "state", tmp_path / "state")
    ours.arrivals.record([event(key=f"incoming/{n}") for n in range(500, 20_000)])
    assert ours.store.problem() == ""
    how(tmp_path / "state")
    assert ours.store.problem() == f"overwritten ({FILE_NAME})"
    assert ours.store.is_overwritten
    assert refuses(ours)


def test_a_lock_that_was_deleted_holds_nobody_off(tmp_path: Path) -> None:
    with (
        CourierLock(tmp_path, "run") as lock,
        closing(Ledger.open(tmp_path, [lock.file])) as ledger,
    ):
        (tmp_path / "courier.lock").unlink()
        with CourierLock(tmp_path, "sync"):
            assert refuses(ledger)
        assert not ledger.store.is_lost


def test_what_was_replaced_while_it_was_opened_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with (tmp_path / "a").open("rb"):
        (tmp_path / "b").write_bytes(b"")
        (tmp_path / "b").replace(tmp_path / "a")
        with pytest.raises(TryLaterError, match="deleted or replaced"):
            OpenFile.of(tmp_path / "a")


LOCKED = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=0)
try:
    db.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""


def test_to_look_ends_no_lock_of_sqlite(ours: Ledger) -> None:
    """Closing any descriptor of a file ends all the locks that its process has on it."""
    with ours.store.writing() as db:
        db.execute("DELETE FROM notices")
        assert ours.store.problem() == ""
        assert not ours.store.may_return or ours.store.is_named
        seen = subprocess.run(
            [sys.executable, "-c", LOCKED, str(ours.store.path)],
            capture_output=True,
            text=True,
            check=True,
        )
    assert seen.stdout.strip() == "database is locked"


def test_a_copy_of_what_is_not_the_ledger_replaces_none(ours: Ledger, tmp_path: Path) -> None:
    ours.arrivals.record([event()])
    state = tmp_path / "state"
    good = back_up(state, state).read_bytes()
    for path in state.glob(f"{FILE_NAME}*"):
        path.unlink()
    Ledger.open(state).close()
    with pytest.raises(LedgerReplacedError):
        back_up(state, state, ours.store.check)
    assert (state / BACKUP_NAME).read_bytes() == good
