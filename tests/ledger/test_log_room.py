"""Room in the ledger's log: commits overwrite it, and nothing in it is taken for a commit."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from postamt_sync.ledger import Ledger
from postamt_sync.ledger.log_room import ROOM, make_room_in_log
from tests.doubles.ledger import event


def log_of(ledger: Ledger) -> Path:
    return ledger.store.path.with_name(f"{ledger.store.path.name}-wal")


def keys(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {key for (key,) in db.execute("SELECT key FROM objects")}


def recorded(ledger: Ledger, *numbers: int) -> set[str]:
    made = [event(key=f"incoming/{number}") for number in numbers]
    ledger.arrivals.record(made)
    return {arrival.key for arrival in made}


def test_no_commit_until_the_checkpoint_lengthens_the_log(ledger: Ledger) -> None:
    make_room_in_log(ledger.store)
    before = log_of(ledger).stat()
    assert before.st_size == ROOM
    database = ledger.store.path
    size, count = database.stat().st_size, 0
    while database.stat().st_size == size:
        recorded(ledger, *range(count, count + 20))
        count += 20
    assert log_of(ledger).stat().st_size == ROOM
    assert before.st_blocks * 512 >= ROOM  # a hole would have to be filled by a commit


def test_a_log_that_is_long_enough_stays_as_it_is(ledger: Ledger) -> None:
    recorded(ledger, 1)
    size = log_of(ledger).stat().st_size
    make_room_in_log(ledger.store, room=size)
    assert log_of(ledger).stat().st_size == size


def test_after_a_crash_all_commits_are_there_and_nothing_else(
    ledger: Ledger, tmp_path: Path
) -> None:
    expected = recorded(ledger, 1, 2)
    make_room_in_log(ledger.store)
    expected |= recorded(ledger, 3)
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    for file in (ledger.store.path, log_of(ledger)):  # the index of the log is lost
        shutil.copy(file, crashed)
    assert keys(crashed / ledger.store.path.name) == expected


def test_nothing_is_written_to_the_log_while_another_process_commits(ledger: Ledger) -> None:
    size = log_of(ledger).stat().st_size
    making = threading.Thread(target=make_room_in_log, args=(ledger.store,))
    with closing(sqlite3.connect(ledger.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        making.start()
        making.join(0.2)
        assert log_of(ledger).stat().st_size == size
        other.execute("COMMIT")
    making.join()
    assert log_of(ledger).stat().st_size == ROOM


def test_others_commit_between_its_steps(ledger: Ledger) -> None:
    steps = 300
    making = threading.Thread(target=make_room_in_log, args=(ledger.store, ROOM, ROOM // steps))
    making.start()
    expected: set[str] = set()
    while making.is_alive() and len(expected) < steps:
        expected |= recorded(ledger, len(expected))
    making.join()
    assert keys(ledger.store.path) == expected
    with ledger.store.writing() as db:
        assert {key for (key,) in db.execute("SELECT key FROM objects")} == expected


def test_a_log_that_cannot_be_opened_is_left_alone(ledger: Ledger) -> None:
    log = log_of(ledger)
    kept = log.rename(log.with_suffix(".kept"))
    log.symlink_to(kept.name)  # never followed
    make_room_in_log(ledger.store)
    assert kept.stat().st_size < ROOM
    kept.replace(log)
