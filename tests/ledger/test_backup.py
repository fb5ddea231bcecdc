"""Copies of the ledger: consistent while it is written, and never worse than the one before."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.backup import (
    BACKUP_NAME,
    QUICK,
    back_up,
    backed_up_at,
    put_back,
    set_aside,
    write_ledger,
)
from postamt_sync.ledger.store import FILE_NAME
from tests.doubles.ledger import event, listing


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (number,) = db.execute("SELECT count(*) FROM objects").fetchone()
        return int(number)


def test_a_copy_holds_what_the_ledger_holds(ledger: Ledger, tmp_path: Path) -> None:
    ledger.arrivals.record([listing(key=f"incoming/{n}") for n in range(500)])
    copy = back_up(tmp_path, tmp_path)
    assert copy == tmp_path / BACKUP_NAME
    assert count(copy) == 500
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in tmp_path.iterdir() if "copy" in p.name) == [BACKUP_NAME]


@pytest.mark.slow
def test_a_copy_is_one_state_whoever_writes_meanwhile(ledger: Ledger, tmp_path: Path) -> None:
    """A group is committed as a whole, so no copy holds a part of one."""
    group, done = 7, threading.Event()
    written: list[Exception | int] = []

    def write() -> None:
        number = 0
        while not done.is_set():
            ledger.arrivals.record([event(key=f"incoming/{number}-{n}") for n in range(group)])
            number += 1
        written.append(number)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        seen = [count(back_up(tmp_path, tmp_path)) for _ in range(10)]
    finally:
        done.set()
        writer.join()
    assert all(number % group == 0 for number in seen), seen
    assert seen == sorted(seen)
    assert seen[-1] > seen[0]
    assert written
    assert count(tmp_path / FILE_NAME) == written[0] * group  # type: ignore[operator]


def test_a_missing_disk_is_told_and_nothing_is_made(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(TryLaterError, match="there is no such directory") as caught:
        back_up(tmp_path, tmp_path / "second")
    assert "backup_dir" in caught.value.hint
    assert not (tmp_path / "second").exists()


@pytest.mark.slow
def test_a_damaged_ledger_does_not_replace_its_copy(tmp_path: Path) -> None:
    with closing(Ledger.open(tmp_path)) as ledger:
        ledger.arrivals.record([event(key=f"incoming/{n}") for n in range(2000)])
        back_up(tmp_path, tmp_path)
    path = tmp_path / FILE_NAME
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises((MisconfiguredError, TryLaterError)):
        back_up(tmp_path, tmp_path)
    assert count(tmp_path / BACKUP_NAME) == 2000
    assert not list(tmp_path.glob("*.new"))


def test_what_a_stopped_copy_left_is_no_obstacle(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / f"{BACKUP_NAME}.new").write_bytes(b"half")
    back_up(tmp_path, tmp_path)
    assert not list(tmp_path.glob("*.new"))


def test_the_newest_usable_copy_is_brought_back(tmp_path: Path) -> None:
    state, second, third = (tmp_path / name for name in ("state", "second", "third"))
    for number, directory in enumerate((second, third), 1):
        directory.mkdir()
        with closing(Ledger.open(state)) as ledger:
            ledger.arrivals.record([event(key=f"incoming/{number}")])
            back_up(state, directory)
    assert (backed_up_at(third) or 0) >= (backed_up_at(second) or 0)
    (third / BACKUP_NAME).write_bytes(b"garbage" * 1000)
    (state / FILE_NAME).unlink()
    assert put_back(state, (state, second, third)) == second / BACKUP_NAME
    assert count(state / FILE_NAME) == 1


def test_without_a_copy_there_is_none(tmp_path: Path) -> None:
    assert put_back(tmp_path, (tmp_path, tmp_path / "second")) is None
    assert backed_up_at(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_a_newer_version_is_not_taken(ledger: Ledger, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    back_up(tmp_path, second)
    with closing(sqlite3.connect(second / BACKUP_NAME)) as db:
        db.execute("PRAGMA user_version = 999")
    state = tmp_path / "state"
    state.mkdir()
    assert put_back(state, (second,)) is None


def test_a_ledger_set_aside_keeps_its_parts(tmp_path: Path) -> None:
    with closing(Ledger.open(tmp_path)) as ledger:
        ledger.arrivals.record([event()])
        assert (tmp_path / f"{FILE_NAME}-wal").exists()
        aside = set_aside(tmp_path)
        assert not (tmp_path / FILE_NAME).exists()
        assert not (tmp_path / f"{FILE_NAME}-wal").exists()
        assert count(aside) == 1


def test_one_that_hung_puts_no_half_copy_in_place(ledger: Ledger, tmp_path: Path) -> None:
    """An earlier life may come to its end while the next one is writing."""
    ledger.arrivals.record([listing(key=f"incoming/{n}") for n in range(100)])
    target = tmp_path / BACKUP_NAME
    hanging, answers, half, goes_on = (threading.Event() for _ in range(4))

    def fill(theirs: sqlite3.Connection) -> None:
        half.set()
        goes_on.wait(60)
        ledger.store.back_up(theirs)

    def hang() -> None:
        hanging.set()
        answers.wait(60)

    def late() -> None:
        with suppress(TryLaterError):  # its scratch is gone
            write_ledger(target, ledger.store.back_up, "late", QUICK, hang)

    earlier = threading.Thread(target=late, daemon=True)
    now = threading.Thread(target=write_ledger, args=(target, fill, "now", QUICK), daemon=True)
    earlier.start()
    hanging.wait(60)
    now.start()
    half.wait(60)
    answers.set()
    earlier.join()
    assert not target.exists() or count(target) == 100
    goes_on.set()
    now.join()
    assert count(target) == 100
    assert not list(tmp_path.glob("*.new"))


@pytest.mark.slow
def test_a_copy_on_a_disk_that_does_not_answer_is_passed_over(
    ledger: Ledger, tmp_path: Path
) -> None:
    ledger.arrivals.record([listing()])
    gate = threading.Event()
    good, state = tmp_path / "good", tmp_path / "lost"
    good.mkdir()
    state.mkdir()
    back_up(tmp_path, good)

    class Hanging(type(Path())):  # type: ignore[misc]
        def __truediv__(self, _: object) -> Path:
            gate.wait(60)
            return Path(self)

    try:
        assert put_back(state, [Hanging(tmp_path / "nfs"), good]) == good / BACKUP_NAME
    finally:
        gate.set()
