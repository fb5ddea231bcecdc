"""A copied ledger is what the migrations make."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

from postamt_sync.ledger import Ledger
from tests.support.new_ledger import new_ledger


def content(ledger: Ledger) -> list[tuple[object, ...]]:
    """Return the tables and their rows, but for the time in `began`."""
    with closing(ledger), ledger.store.reading() as db:
        tables = db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        rows = [tuple(row) for row in tables]
        for name, sql in rows:
            if str(sql).startswith("CREATE TABLE") and name != "began":
                rows += [(name, *row) for row in db.execute(f"SELECT * FROM {name}")]
        return rows


def test_it_holds_what_one_that_was_opened_holds(tmp_path: Path) -> None:
    assert content(new_ledger(tmp_path / "copied")) == content(Ledger.open(tmp_path / "made"))


def test_it_begins_when_it_is_made(tmp_path: Path) -> None:
    new_ledger(tmp_path / "earlier").close()
    with closing(new_ledger(tmp_path / "now")) as ledger, ledger.store.reading() as db:
        ((at,),) = db.execute("SELECT at FROM began").fetchall()
    assert abs(time.time() - at) < 3600
    assert isinstance(at, float)


def test_one_that_is_there_is_opened(tmp_path: Path) -> None:
    with closing(new_ledger(tmp_path)) as ledger, ledger.store.writing() as db:
        db.execute("UPDATE began SET at = 7")
    with closing(new_ledger(tmp_path)) as ledger, ledger.store.reading() as db:
        assert [tuple(row) for row in db.execute("SELECT at FROM began")] == [(7.0,)]
