"""The file under the ledger: durable, private, shared between processes, and told when it fails."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from postamt_sync.errors import ExitCode, MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.schema import MIGRATIONS, migrate
from postamt_sync.ledger.store import FILE_NAME, Store
from tests.doubles.ledger import KEY, due, event

ROOT = Path(__file__).parents[2]


def pragma(ledger: Ledger, name: str) -> object:
    with ledger.store.reading() as db:
        return db.execute(f"PRAGMA {name}").fetchone()[0]


def in_a_process(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Run Python that may import the package; it talks through standard input and output."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_commit_is_on_the_disk_when_it_returns(ledger: Ledger) -> None:
    assert pragma(ledger, "journal_mode") == "wal"
    assert pragma(ledger, "synchronous") == 2  # FULL


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        ledger = Ledger.open(tmp_path / "state")
        ledger.arrivals.record([event()])
    finally:
        os.umask(old)
    files = sorted((tmp_path / "state").iterdir())
    assert [f.name for f in files] == [FILE_NAME, f"{FILE_NAME}-shm", f"{FILE_NAME}-wal"]
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    ledger.close()


def test_an_empty_file_becomes_a_ledger(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    ledger = Ledger.open(tmp_path)
    assert pragma(ledger, "user_version") == len(MIGRATIONS)
    ledger.arrivals.record([event()])
    ledger.close()


def test_what_was_recorded_is_there_after_a_restart(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.arrivals.record([event()])
    ledger.close()
    again = Ledger.open_existing(tmp_path)
    assert due(again) == [KEY]
    again.close()


def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(MisconfiguredError, match=r"newer postamt-sync \(schema 999") as caught:
        Ledger.open(tmp_path)
    assert caught.value.hint == "Install the newer version again."
    assert caught.value.exit_code is ExitCode.CONFIGURATION


def test_a_migration_that_fails_leaves_no_trace_and_keeps_its_reason() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("PRAGMA max_page_count = 3")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        migrate(connection)
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert connection.execute("PRAGMA user_version").fetchone() == (0,)
    connection.close()


# Several at once


OPEN_AT_ONCE = """
import pathlib, sys
from postamt_sync.ledger import Ledger
print("ready", flush=True)
sys.stdin.readline()
ledger = Ledger.open(pathlib.Path(sys.argv[1]))
ledger.overview.source_ok(sys.argv[2])
ledger.close()
"""


@pytest.mark.slow
def test_processes_may_open_a_new_ledger_at_once(tmp_path: Path) -> None:
    processes = [in_a_process(OPEN_AT_ONCE, str(tmp_path), name) for name in "abc"]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    ledger = Ledger.open_existing(tmp_path)
    assert [source.source for source in ledger.overview.sources()] == ["a", "b", "c"]
    ledger.close()


WRITE_ONE = """
import pathlib, sys
from postamt_sync.ledger import Ledger
ledger = Ledger.open_existing(pathlib.Path(sys.argv[1]))
ledger.overview.source_ok("other")
print("written", flush=True)
ledger.close()
"""


@pytest.mark.slow
def test_a_reader_sees_one_state_while_another_process_writes(ledger: Ledger) -> None:
    with ledger.store.reading() as db:
        assert db.execute("SELECT count(*) FROM sources").fetchone()[0] == 0
        with in_a_process(WRITE_ONE, str(ledger.store.path.parent)) as process:
            assert process.communicate()[0] == "written\n"
        assert db.execute("SELECT count(*) FROM sources").fetchone()[0] == 0
    assert [source.source for source in ledger.overview.sources()] == ["other"]


HOLD = """
import pathlib, sys
from postamt_sync.ledger.store import Store
store = Store(pathlib.Path(sys.argv[1]))
with store.writing() as db:
    db.execute("INSERT INTO sources (source) VALUES ('held')")
    print("held", flush=True)
    sys.stdin.readline()
store.close()
"""


@pytest.mark.slow
def test_a_writer_waits_for_another_process(ledger: Ledger) -> None:
    with in_a_process(HOLD, str(ledger.store.path)) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "held\n"
        assert ledger.overview.sources() == []  # a reader does not wait
        pid = os.fork()
        if not pid:  # lets go while we wait
            process.stdin.write("go\n")
            process.stdin.flush()
            os._exit(0)
        ledger.overview.source_ok("ours")
        os.waitpid(pid, 0)
    assert [source.source for source in ledger.overview.sources()] == ["held", "ours"]


def test_who_reads_in_order_to_write_keeps_other_writers_out_from_the_start(
    ledger: Ledger,
) -> None:
    other = sqlite3.connect(ledger.store.path, isolation_level=None, timeout=0)
    with (
        ledger.store.writing(),
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def test_a_new_ledger_waits_for_who_is_writing_the_same_where_sqlite_does_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / FILE_NAME
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    letting_go = threading.Timer(0.05, other.execute, ("ROLLBACK",))
    letting_go.start()
    store = Store(path)
    letting_go.join()
    other.close()
    with store.reading() as db:
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    store.close()


def test_a_second_ledger_in_this_process_does_not_end_the_locks_of_the_first(
    ledger: Ledger,
) -> None:
    Store(ledger.store.path).close()
    held = Path("/proc/locks").read_text(encoding="ascii")
    assert f":{ledger.store.path.stat().st_ino} " in held


# What may fail


def test_an_error_inside_a_transaction_leaves_no_trace(ledger: Ledger) -> None:
    def spoil() -> None:
        with ledger.store.writing() as db:
            db.execute("INSERT INTO sources (source) VALUES ('x')")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - it has no message
        spoil()
    assert ledger.overview.sources() == []
    ledger.overview.source_ok("the next one works")


def test_of_a_group_that_fails_nothing_is_recorded(ledger: Ledger) -> None:
    with pytest.raises(UnicodeEncodeError):
        ledger.arrivals.record([event(key="good"), event(key="bad\ud800")])
    assert due(ledger) == []


@pytest.mark.slow
def test_a_full_disk_is_temporary_and_nothing_is_half_written(ledger: Ledger) -> None:
    ledger.arrivals.record([event()])
    pages = pragma(ledger, "page_count")
    pragma(ledger, f"max_page_count = {pages}")
    many = [event(key=f"incoming/{n}") for n in range(5000)]
    with pytest.raises(TryLaterError, match="is full") as caught:
        ledger.arrivals.record(many)
    assert caught.value.hint.startswith("Make room")
    assert due(ledger) == [KEY]
    pragma(ledger, "max_page_count = 100000")
    assert sum(ledger.arrivals.record(many)) == 5000


def test_a_file_that_is_no_ledger_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"something else" * 100)
    with pytest.raises(MisconfiguredError, match="is damaged") as caught:
        Ledger.open(tmp_path)
    assert "postamt-sync rebuild" in caught.value.hint
    assert path.read_bytes() == b"something else" * 100


@pytest.mark.slow
def test_damage_found_later_is_told_as_such(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.arrivals.record([event(key=f"incoming/{n}") for n in range(2000)])
    ledger.close()
    path = tmp_path / FILE_NAME
    data = bytearray(path.read_bytes())
    sound = len(data) // 2  # the schema, which opening reads, lies before
    data[sound:] = b"\xff" * (len(data) - sound)
    path.write_bytes(data)
    ledger = Ledger.open(tmp_path)
    with pytest.raises(MisconfiguredError, match="is damaged"):
        ledger.overview.states()
    ledger.close()


def test_what_is_in_the_way_of_the_state_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TryLaterError, match="cannot be made") as caught:
        Ledger.open(tmp_path / "file" / "state")
    assert "another state_dir" in caught.value.hint


def test_a_directory_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(TryLaterError, match="unable to open") as caught:
        Ledger.open(tmp_path)
    assert "must exist and be writable" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_directory_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(TryLaterError, match="cannot be opened") as caught:
        Ledger.open(tmp_path)
    assert "writable for this user" in caught.value.hint


def test_a_closed_ledger_raises_nothing_else(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.close()
    with pytest.raises(PostamtError, match="closed"):
        ledger.overview.states()


# The ways to open


def test_a_verb_beside_the_daemon_makes_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="no ledger"):
        Ledger.open_existing(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_look_without_a_ledger_leaves_nothing(tmp_path: Path) -> None:
    ledger = Ledger.open_for_a_look(tmp_path)
    assert ledger.arrivals.unknown("mail", [("a", "e1", False)]) == [0]
    ledger.close()
    assert list(tmp_path.iterdir()) == []


def test_a_look_reads_the_ledger_that_is_there(ledger: Ledger, tmp_path: Path) -> None:
    ledger.arrivals.record([event()])
    look = Ledger.open_for_a_look(tmp_path)
    assert due(look) == [KEY]
    look.close()


def test_copies_of_an_older_ledger_stand_for_the_edition_of_their_name() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    at = next(n for n, script in enumerate(MIGRATIONS) if "ADD COLUMN edition" in script)
    for script in MIGRATIONS[:at]:
        connection.executescript(script)
    connection.execute(f"PRAGMA user_version = {at}")
    stem = "1700000000.M000000K7c18c64aa31763fe7cc4c55bE90339232adb5c350"
    connection.executemany(
        "INSERT INTO deliveries (mail, mailbox, stem, state) VALUES ('m', 'anna', ?, 'delivered')",
        [(f"{stem}.postamt",), (f"{stem}R3.postamt",), (f"{stem}R12.postamt",)],
    )
    migrate(connection)
    editions = connection.execute("SELECT edition FROM deliveries ORDER BY edition").fetchall()
    assert editions == [(0,), (3,), (12,)]
    connection.close()
