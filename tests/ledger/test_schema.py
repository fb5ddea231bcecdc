"""Ledgers of earlier versions become current ones, and mean the same afterwards."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from postamt_sync.ledger import Ledger
from postamt_sync.ledger.absences import note_absent
from postamt_sync.ledger.merge import merge
from postamt_sync.ledger.rows import AbsenceState, DueState, EnvelopeState
from postamt_sync.ledger.schema import MIGRATIONS
from postamt_sync.ledger.store import FILE_NAME
from tests.doubles.ledger import due, row

RELEASED = (
    "71f70bbdb66bb4f6575b27d2fd25aa2a19a911e8afb0157b039fb5d6ad1784dc",
    "081303a4bcd546e203fceaa46976b39147960e9e325dbf25937573c461d2bc94",
    "86e4198c8259fe2e94990b201a22bf8bc4f292d5c373b0fa63b5944488ddb9d2",
    "0d315bf1e00f8906bb0e7567d793b338c340dd96c8f440e1b023143c5cf5db96",
    "f2468aea64ee7574f20adbc53ae7d3aaa99d9ad1d3b64f16a212b3b31a30d167",
    "2a92bc84fb87d2cfadd87f40b8ac58c5219ba6ae30352c9c60be7de2c941c0ac",
    "01cd85ab86842d87fb37d71f4408186417d53ba854c3430b82fab4baf7877f64",
    "815250a2df93bd3654203077e193476cc88aff5c08c55d6726a722a71f99ca08",
    "5bd069cae6d5b9e2b3894889dea89f61c6c6030564bf2cb5b31c891966c094c8",
    "3a61712c2d25519dca34ba488029443286a1af18702a6f0adba8b4ad04b0c878",
    "85efd71be9791a99c2b062b1f5d324e465bb742cd9b1ef82cb83350fac11576a",
    "fe96149242dfff53bfbf9d9ffabefeaa4010a20fe226f2cfd3dd9f03601e65aa",
)
"""SHA-256 of each migration that was landed. Appending is fine, changing is not: ledgers out there
have run them as they were."""

BEFORE_DUE = next(n for n, script in enumerate(MIGRATIONS) if "ADD COLUMN due " in script)
"""The migrations before when an object is due became words."""

BEFORE_ABSENCE = next(n for n, script in enumerate(MIGRATIONS) if "ADD COLUMN absence " in script)
"""The migrations before it became words whether an absence was looked at."""

ABSENT_ROWS = (
    # key, state, unseen
    ("not absent", "delivered", 0),
    ("absent, shown in part", "delivered", 0),
    ("absent for all", "absent", 1),
    ("absent for one", "delivered", 1),
    ("absent, shown", "absent", 2),
)
"""Every state that unseen could tell."""

ROWS = (
    # key, state, next_attempt, grace, last_modified
    ("held", "waiting", -2.0, 0, 5.0),
    ("held, archived", "archived", -2.0, 0, 5.0),
    ("held, in vain", "waiting", -2.0, 2, 5.0),
    ("announced", "waiting", -1.0, 0, 7.0),
    ("announced, older", "waiting", -1.0, 0, 6.0),
    ("announced, in vain", "waiting", -1.0, 2, 8.0),
    ("backfill", "waiting", 0.0, 0, 3.0),
    ("backfill, older", "waiting", 0.0, 0, 2.0),
    ("backfill, in vain", "waiting", 0.0, 2, 4.0),
    ("tried", "waiting", 50.0, 0, 1.0),
    ("tried, sooner", "waiting", 40.5, 2, 9.0),
    ("awaited", "waiting", 60.0, 1, 1.0),
    ("much later", "waiting", 1e9, 0, 1.0),
    ("delivered", "delivered", -1.0, 0, 1.0),
    ("quarantined", "quarantined", 70.0, 2, 1.0),
)
"""Every state that next_attempt and grace could tell."""


def make(path: Path, migrations: tuple[str, ...]) -> None:
    """Make the file of an earlier version, with all that it may say of when an object is due."""
    with closing(sqlite3.connect(path)) as db:
        for script in migrations:
            db.executescript(script)
        db.execute(f"PRAGMA user_version = {len(migrations)}")
        db.executemany(
            "INSERT INTO objects (bucket, key, mail, state, source, etag, next_attempt, grace,"
            " last_modified, first_seen) VALUES ('mail', ?1, ?1, ?2, 'poll', 'e1', ?3, ?4, ?5, 0)",
            ROWS,
        )
        db.execute("INSERT INTO rebuilding (only, begun_at, lost) VALUES (1, 0, 0)")
        db.commit()


@pytest.fixture
def before_absence(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger that was rebuilt by an earlier version, opened by this one."""
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        for script in MIGRATIONS[:BEFORE_ABSENCE]:
            db.executescript(script)
        db.execute(f"PRAGMA user_version = {BEFORE_ABSENCE}")
        db.executemany(
            "INSERT INTO objects (bucket, key, mail, state, source, unseen, last_modified,"
            " first_seen) VALUES ('mail', ?1, ?1, ?2, 'reconcile', ?3, 5.0, 0)",
            ABSENT_ROWS,
        )
        db.executemany(
            "INSERT INTO deliveries (mail, mailbox, stem, state) VALUES (?, ?, '', 'absent')",
            [
                ("absent, shown in part", "anna"),
                ("absent for all", "anna"),
                ("absent for one", "ben"),
                ("absent, shown", "anna"),
            ],
        )
        db.commit()
    ledger = Ledger.open(tmp_path)
    yield ledger
    ledger.close()


@pytest.fixture
def older(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger in `tmp_path` that an earlier version has left, opened by this one."""
    make(tmp_path / FILE_NAME, MIGRATIONS[:BEFORE_DUE])
    ledger = Ledger.open(tmp_path)
    yield ledger
    ledger.close()


def test_what_was_released_is_never_edited() -> None:
    hashes = tuple(hashlib.sha256(script.encode()).hexdigest() for script in MIGRATIONS)
    assert hashes[: len(RELEASED)] == RELEASED


def test_the_order_in_which_objects_come_due_stays(older: Ledger) -> None:
    announced = ["announced, older", "announced", "announced, in vain"]
    backfill = ["backfill, older", "backfill", "backfill, in vain"]
    assert due(older, 0.0) == [*announced, *backfill]
    assert due(older, 40.5) == [*announced, "tried, sooner", *backfill]
    assert due(older, 60.0) == [*announced, "tried, sooner", "tried", "awaited", *backfill]


def test_what_was_held_stays_held_until_the_rebuild_ends(older: Ledger) -> None:
    held = [task.key for task in older.rebuild.held("", 10)]
    assert sorted(held) == ["held", "held, archived", "held, in vain"]
    ended = older.rebuild.end()
    assert ended is not None
    assert ended.waiting == 2
    assert {"held", "held, in vain"} < set(due(older, 0.0))


def test_who_was_waited_for_in_vain_is_not_waited_for_again(older: Ledger) -> None:
    graced = {task.key for task in older.work.due(1e13, 100, ()) if task.grace_started}
    assert graced == {
        "announced, in vain",
        "backfill, in vain",
        "tried, sooner",
        "awaited",
    }


def test_what_failed_is_tried_at_once_and_who_is_awaited_is_not(
    older: Ledger, tmp_path: Path
) -> None:
    older.work.retry_now()
    assert {"tried", "tried, sooner", "much later"} < set(due(older, 0.0))
    assert row(tmp_path, "awaited")["due"] == DueState.LATER
    assert row(tmp_path, "awaited")["next_attempt"] == 60.0
    assert row(tmp_path, "awaited")["envelope"] == EnvelopeState.AWAITED


def test_a_new_boot_forgets_its_pauses_and_nothing_else(older: Ledger, tmp_path: Path) -> None:
    older.work.make_all_due()
    assert row(tmp_path, "awaited")["envelope"] == EnvelopeState.UNKNOWN
    assert row(tmp_path, "held")["due"] == DueState.HELD
    assert row(tmp_path, "backfill")["due"] == DueState.BACKFILL
    assert row(tmp_path, "backfill, in vain")["envelope"] == EnvelopeState.IN_VAIN


def test_what_nobody_has_looked_at_is_still_to_be_shown(before_absence: Ledger) -> None:
    unseen = before_absence.absences.unseen()
    assert [(each.mailbox, each.mails) for each in unseen] == [("anna", 1), ("ben", 1)]


@pytest.mark.parametrize(
    ("key", "state"),
    [
        ("not absent", AbsenceState.UNSEEN),
        ("absent, shown in part", AbsenceState.UNSEEN),
        ("absent for one", AbsenceState.UNSEEN),
        ("absent, shown", AbsenceState.SEEN),
    ],
)
def test_a_mailbox_that_is_named_later_is_no_news_where_all_was_shown(
    before_absence: Ledger, tmp_path: Path, key: str, state: AbsenceState
) -> None:
    with before_absence.store.writing() as db:
        note_absent(db, key, ["anna", "ben", "carl"])
    assert row(tmp_path, key)["absence"] == state


def test_what_was_looked_at_is_shown_no_more(before_absence: Ledger, tmp_path: Path) -> None:
    before_absence.absences.looked_at([key for key, _, _ in ABSENT_ROWS])
    assert before_absence.absences.unseen() == []
    assert {key: row(tmp_path, key)["absence"] for key, _, _ in ABSENT_ROWS} == {
        "not absent": AbsenceState.NONE,
        "absent, shown in part": AbsenceState.NONE,
        "absent for all": AbsenceState.SEEN,
        "absent for one": AbsenceState.NONE,
        "absent, shown": AbsenceState.SEEN,
    }


def test_an_older_ledger_can_be_added_to_a_current_one(ledger: Ledger, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite3"
    make(other, MIGRATIONS[:BEFORE_DUE])
    assert merge(ledger.store, other) == len(ROWS)
    assert due(ledger, 0.0)[:3] == ["announced, older", "announced", "announced, in vain"]
    assert row(tmp_path, "held")["due"] == DueState.HELD


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
def test_every_earlier_version_ends_in_the_same_tables(version: int, tmp_path: Path) -> None:
    """Copies between ledgers (`merge`) rely on the order of the columns."""

    def tables(path: Path) -> dict[str, list[str]]:
        Ledger.open(path).close()
        with closing(sqlite3.connect(path / FILE_NAME)) as db:
            names = [n for (n,) in db.execute("SELECT name FROM sqlite_schema ORDER BY name")]
            return {
                name: [column[1] for column in db.execute(f"PRAGMA table_info({name})")]
                for name in names
            }

    (tmp_path / "new").mkdir()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        for script in MIGRATIONS[:version]:
            db.executescript(script)
        db.execute(f"PRAGMA user_version = {version}")
    assert tables(tmp_path) == tables(tmp_path / "new")
