"""A ledger saved through its own handle: whole, taken back once, with what the other one knew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from postamt_sync.errors import TryLaterError
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.ledger.backup import copy_ledger
from postamt_sync.ledger.rescue import save, saved_ledgers, take_back
from postamt_sync.ledger.store import FILE_NAME, LedgerDamagedError, Store
from tests.doubles.ledger import copies, deliver, due, event, listing, receipt, row, state, take
from tests.doubles.ledger import copy as copied

pytestmark = pytest.mark.slow


def keys(state_dir: Path) -> set[str]:
    with closing(Ledger.open_existing(state_dir)) as ledger, ledger.store.reading() as db:
        return {key for (key,) in db.execute("SELECT key FROM objects")}


def lose(state_dir: Path) -> None:
    for path in state_dir.glob(f"{FILE_NAME}*"):
        path.unlink()


def saved_and_back(ledger: Ledger, state_dir: Path) -> Path | None:
    """Save it, close it, and take it back; return what was set aside."""
    path = save(ledger.store)
    assert path.stat().st_mode & 0o777 == 0o600
    ledger.close()
    back = take_back(state_dir)
    assert back is not None
    assert back.saved == path
    assert take_back(state_dir) is None
    assert saved_ledgers(state_dir) == []
    return back.aside


def test_all_that_was_committed_is_back(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.arrivals.record([event(key=f"incoming/{n}") for n in range(300)])
    lose(tmp_path)
    assert saved_and_back(ledger, tmp_path) is None
    assert keys(tmp_path) == {f"incoming/{n}" for n in range(300)}
    assert sorted(p.name for p in tmp_path.iterdir()) == [FILE_NAME]


def test_its_log_is_played_into_no_other_ledger(tmp_path: Path) -> None:
    """Left there, SQLite would make the one that came to its place the same as the lost one."""
    older = tmp_path / "older"
    state_dir = tmp_path / "state"
    ledger = Ledger.open(state_dir)
    copy_ledger(state_dir / FILE_NAME, older)
    ledger.arrivals.record([event()])
    older.replace(state_dir / FILE_NAME)
    save(ledger.store)
    ledger.close()
    assert sorted(p.suffix for p in state_dir.iterdir()) == [".rescued", ".sqlite3"]
    assert keys(state_dir) == set()


def test_a_live_log_of_another_ledger_stays(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.arrivals.record([event(key="incoming/ours")])
    lose(tmp_path)
    with closing(Ledger.open(tmp_path)) as other:
        other.arrivals.record([event(key="incoming/other")])
        save(ledger.store)
        ledger.close()
        assert other.store.problem() == ""
        other.arrivals.record([event(key="incoming/more")])
    assert keys(tmp_path) == {"incoming/other", "incoming/more"}


def test_the_directory_is_made_again(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "state")
    ledger.arrivals.record([event()])
    shutil.rmtree(tmp_path / "state")
    saved_and_back(ledger, tmp_path / "state")
    assert keys(tmp_path / "state") == {"incoming/a"}
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_where_it_cannot_be_saved_it_stays_open(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "state")
    ledger.arrivals.record([event()])
    shutil.rmtree(tmp_path / "state")
    (tmp_path / "state").write_bytes(b"")
    with pytest.raises(TryLaterError, match="cannot be used"):
        save(ledger.store)
    (tmp_path / "state").unlink()
    saved_and_back(ledger, tmp_path / "state")
    assert keys(tmp_path / "state") == {"incoming/a"}


def test_a_stop_in_between_is_gone_on_from(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.arrivals.record([event(key="incoming/1")])
    lose(tmp_path)
    first = save(ledger.store)
    ledger.close()
    shutil.copy(first, tmp_path / "first")  # as if the process had ended before it was renamed
    assert take_back(tmp_path) is not None
    ledger = Ledger.open(tmp_path)
    ledger.arrivals.record([event(key="incoming/2")])
    shutil.copy(tmp_path / "first", first)
    lose_all_but = [p for p in tmp_path.glob(f"{FILE_NAME}*") if p != first]
    for path in lose_all_but:
        path.unlink()
    save(ledger.store)
    ledger.close()
    assert take_back(tmp_path) is not None
    assert keys(tmp_path) == {"incoming/1", "incoming/2"}
    assert saved_ledgers(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"no database " * 1000])
def test_what_is_no_ledger_is_set_aside_as_it_is(tmp_path: Path, content: bytes) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.arrivals.record([event()])
    lose(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(content)
    aside = saved_and_back(ledger, tmp_path)
    assert aside is not None
    assert aside.read_bytes() == content
    assert keys(tmp_path) == {"incoming/a"}


def test_a_saved_one_that_is_damaged_is_left(tmp_path: Path) -> None:
    (tmp_path / f"{FILE_NAME}.20261127-000000.rescued").write_bytes(b"no database " * 1000)
    with closing(Ledger.open(tmp_path)) as ledger:
        ledger.arrivals.record([event()])
    assert take_back(tmp_path) is None
    assert keys(tmp_path) == {"incoming/a"}


@pytest.mark.slow
def test_what_is_open_and_damaged_is_not_saved(tmp_path: Path) -> None:
    """More than SQLite remembers by itself."""
    with closing(Ledger.open(tmp_path)) as ledger:
        ledger.arrivals.record([event(key=f"incoming/{n}") for n in range(40_000)])
    with closing(Ledger.open(tmp_path)) as ledger:
        with (tmp_path / FILE_NAME).open("r+b") as stream:
            stream.seek(1 << 16)
            stream.write(b"\xff" * (1 << 20))
        with pytest.raises(LedgerDamagedError):
            save(ledger.store)
    assert saved_ledgers(tmp_path) == []


Change = Callable[[Ledger], object]


def parted(tmp_path: Path, here: Change, there: Change, before: Change = lambda _: None) -> None:
    """Let a ledger be lost, and another one, which is as the lost one was, be used meanwhile."""
    ledger = Ledger.open(tmp_path)
    before(ledger)
    copy_ledger(tmp_path / FILE_NAME, tmp_path / "older")
    here(ledger)
    lose(tmp_path)
    (tmp_path / "older").replace(tmp_path / FILE_NAME)
    with closing(Ledger.open(tmp_path)) as other:
        there(other)
    aside = saved_and_back(ledger, tmp_path)
    assert aside is not None
    Store(aside).close()


def delivered(ledger: Ledger, mailbox: str = "anna") -> None:
    ledger.arrivals.record([listing()])
    deliver(ledger, take(ledger), copied(mailbox))


class TestMerge:
    def test_what_only_the_other_heard_of_is_due(self, tmp_path: Path) -> None:
        parted(
            tmp_path,
            lambda ours: ours.arrivals.record([event(key="incoming/ours")]),
            lambda other: other.arrivals.record([receipt("b@example.com", key="incoming/other")]),
        )
        with closing(Ledger.open(tmp_path)) as ledger:
            assert set(due(ledger)) == {"incoming/ours", "incoming/other"}
            assert take(ledger, "incoming/other").recipients == ("b@example.com",)

    def test_what_only_the_other_delivered_is_delivered(self, tmp_path: Path) -> None:
        parted(tmp_path, lambda _: None, delivered)
        with closing(Ledger.open(tmp_path)) as ledger:
            assert state(ledger) is ObjectState.DELIVERED
            assert due(ledger) == []

    def test_an_older_copy_takes_nothing_back(self, tmp_path: Path) -> None:
        parted(
            tmp_path,
            lambda ours: deliver(ours, take(ours), copied()),
            lambda _: None,
            before=lambda ours: ours.arrivals.record([listing()]),
        )
        with closing(Ledger.open(tmp_path)) as ledger:
            assert state(ledger) is ObjectState.DELIVERED
            assert due(ledger) == []

    def test_an_envelope_that_came_to_the_other_adds_a_mailbox(self, tmp_path: Path) -> None:
        parted(
            tmp_path,
            delivered,
            lambda other: other.arrivals.record([receipt("bruno@example.com")]),
        )
        with closing(Ledger.open(tmp_path)) as ledger:
            assert take(ledger).recipients == ("bruno@example.com",)
            (copy,) = copies(tmp_path, take(ledger).mail)
            assert copy["state"] == "delivered"

    def test_what_a_person_asked_of_the_other_is_done(self, tmp_path: Path) -> None:
        parted(
            tmp_path,
            lambda _: None,
            lambda other: other.repair.redeliver("incoming/a"),
            before=delivered,
        )
        with closing(Ledger.open(tmp_path)) as ledger:
            assert due(ledger) == ["incoming/a"]
        assert row(tmp_path)["edition"] == 1

    def test_what_was_adopted_since_is_not_made_due(self, tmp_path: Path) -> None:
        parted(
            tmp_path,
            lambda ours: ours.arrivals.record([listing()], adopt=True),
            lambda _: None,
            before=lambda ours: ours.arrivals.record([listing()]),
        )
        with closing(Ledger.open(tmp_path)) as ledger:
            assert state(ledger) is ObjectState.ADOPTED


@pytest.mark.parametrize("part", ["-wal", "-shm"])
def test_a_cursor_that_someone_still_holds_keeps_nothing_from_its_place(
    tmp_path: Path, part: str
) -> None:
    """As the traceback of an error does that is kept: the file stays open, and its index shared."""
    ledger = Ledger.open(tmp_path)
    for number in range(50):
        ledger.arrivals.record([event(key=f"incoming/k{number}")])
    with ledger.store.reading() as db:
        held = db.execute("SELECT * FROM objects")
        held.fetchone()
    (tmp_path / f"{FILE_NAME}{part}").unlink()
    saved = save(ledger.store)
    ledger.store.saved = True
    ledger.close()
    back = take_back(tmp_path)
    assert back is not None
    assert back.saved == saved
    with closing(Ledger.open(tmp_path)) as again:
        assert again.overview.states()[ObjectState.WAITING] == 50
    del held
