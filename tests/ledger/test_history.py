"""Mails a day and latencies: counted once, kept forever, and only of what could be timed."""

from __future__ import annotations

import datetime as dt
import math
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from postamt_sync.ledger import Ledger, ObjectState, Prepared
from postamt_sync.ledger.history import BOUNDS, Latencies
from postamt_sync.ledger.schema import MIGRATIONS
from postamt_sync.ledger.store import FILE_NAME
from postamt_sync.mail.arrival import Evidence
from tests.doubles.ledger import bring_to, copy, failing, listing, take

TODAY = dt.datetime.now().astimezone().date()


def deliver(
    ledger: Ledger,
    key: str,
    ago: float,
    *mailboxes: str,
    failed: str = "",
    stem: str = "",
    etag: str = "e1",
) -> None:
    """Bring a mail that S3 stored so many seconds ago into these mailboxes, not into `failed`."""
    stored = time.time() - ago
    ledger.arrivals.record([listing(key=key, last_modified=stored, etag=etag)])
    task = take(ledger, key)
    copies = tuple(copy(mailbox, stem or f"{key}.{mailbox}") for mailbox in mailboxes)
    fails = (failing(failed),) if failed else ()
    ledger.work.prepare([Prepared(task, etag, 100, stored, Evidence.RECEIPT, copies, fails)])
    ledger.work.settle([(task, copies)])


def began_long_ago(ledger: Ledger, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        db.execute("UPDATE began SET at = 0")


def classes(ledger: Ledger) -> dict[float, int]:
    """The classes that have copies in them."""
    return {within: n for within, n in ledger.history.latencies().copies.items() if n}


def mails(ledger: Ledger) -> int:
    """The mails of these days; midnight may have passed meanwhile."""
    day = dt.timedelta(days=1)
    return sum(ledger.history.days(TODAY - day, TODAY + day).values())


def test_an_empty_ledger_has_days_and_classes_without_anything(ledger: Ledger) -> None:
    yesterday = TODAY - dt.timedelta(days=1)
    assert ledger.history.days(yesterday, TODAY) == {yesterday: 0, TODAY: 0}
    assert ledger.history.latencies() == Latencies(dict.fromkeys(BOUNDS, 0), 0.0)


def test_a_mail_counts_once_and_each_of_its_copies_is_timed(ledger: Ledger, tmp_path: Path) -> None:
    began_long_ago(ledger, tmp_path)
    deliver(ledger, "both", 20, "anna", "bert")
    assert mails(ledger) == 1
    assert classes(ledger) == {30.0: 2}
    assert ledger.history.latencies().seconds == pytest.approx(40, abs=5)


def test_a_mailbox_that_gets_its_copy_later_is_timed_by_itself(
    ledger: Ledger, tmp_path: Path
) -> None:
    began_long_ago(ledger, tmp_path)
    deliver(ledger, "a", 20, "anna", failed="bert")
    task = take(ledger, "a")
    berts = copy("bert", "a.bert")
    ledger.work.prepare([Prepared(task, "e1", 100, time.time() - 2000, Evidence.RECEIPT, (berts,))])
    ledger.work.settle([(task, [berts])])
    assert mails(ledger) == 1
    assert classes(ledger) == {30.0: 1, 3600.0: 1}


def test_what_is_settled_again_is_not_counted_again(ledger: Ledger, tmp_path: Path) -> None:
    began_long_ago(ledger, tmp_path)
    deliver(ledger, "a", 20, "anna", failed="bert")
    task = take(ledger, "a")
    ledger.work.settle([(task, [copy("anna", "a.anna")])])
    assert mails(ledger) == 1
    assert classes(ledger) == {30.0: 1}


def test_a_backfill_counts_by_its_day_and_is_not_timed(ledger: Ledger) -> None:
    day = 86_400.0
    deliver(ledger, "old", 3 * day, "anna")
    assert classes(ledger) == {}
    found = ledger.history.days(TODAY - dt.timedelta(days=4), TODAY)
    assert sum(found.values()) == 1
    assert found[dt.datetime.fromtimestamp(time.time() - 3 * day).astimezone().date()] == 1
    deliver(ledger, "new", -0.5, "anna")
    assert classes(ledger) == {1.0: 1}


def test_a_copy_that_a_person_asked_for_is_neither_timed_nor_another_mail(
    ledger: Ledger, tmp_path: Path
) -> None:
    began_long_ago(ledger, tmp_path)
    deliver(ledger, "a", 20, "anna")
    ledger.repair.redeliver("a")
    deliver(ledger, "a", 20, "anna", stem="a.annaR1")
    assert mails(ledger) == 1
    assert classes(ledger) == {30.0: 1}


def test_a_clock_that_is_behind_makes_no_negative_latency(ledger: Ledger, tmp_path: Path) -> None:
    began_long_ago(ledger, tmp_path)
    deliver(ledger, "a", -600, "anna")
    assert classes(ledger) == {1.0: 1}
    assert ledger.history.latencies().seconds == 0


def test_a_time_that_no_calendar_has_holds_up_nothing(ledger: Ledger) -> None:
    deliver(ledger, "a", -1e15, "anna")
    assert ledger.overview.states()[ObjectState.DELIVERED] == 1
    assert classes(ledger) == {}


@pytest.mark.parametrize(
    ("seconds", "within"), [(0.0, 1.0), (3.0, 5.0), (61.0, 300.0), (90_000.0, math.inf)]
)
def test_every_latency_has_its_class(
    ledger: Ledger, tmp_path: Path, seconds: float, within: float
) -> None:
    began_long_ago(ledger, tmp_path)
    deliver(ledger, "a", seconds, "anna")
    assert classes(ledger) == {within: 1}


def test_latencies_since_a_day_leave_out_the_mail_before(ledger: Ledger, tmp_path: Path) -> None:
    began_long_ago(ledger, tmp_path)
    deliver(ledger, "old", 5 * 86_400.0, "anna")
    deliver(ledger, "new", 0, "anna")
    assert ledger.history.latencies().total == 2
    assert ledger.history.latencies(TODAY - dt.timedelta(days=2)).total == 1


def test_latencies_survive_a_restart(ledger: Ledger, tmp_path: Path) -> None:
    began_long_ago(ledger, tmp_path)
    deliver(ledger, "a", 20, "anna")
    again = Ledger.open(tmp_path)
    assert again.history.latencies() == ledger.history.latencies()
    again.close()


def test_an_older_ledger_brings_its_days_and_its_beginning(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        db.executescript(MIGRATIONS[0])
        db.execute("PRAGMA user_version = 1")
        for key, last_modified in (("a", time.time()), ("b", time.time()), ("c", None)):
            db.execute(
                "INSERT INTO objects (bucket, key, mail, state, source, first_seen, last_modified)"
                " VALUES ('mail', ?, ?, 'delivered', 'poll', 1234, ?)",
                (key, key, last_modified),
            )
        db.execute(
            "INSERT INTO deliveries (mail, mailbox, stem, state) VALUES"
            " ('a', 'anna', 's', 'delivered'), ('a', 'bert', 's', 'delivered'),"
            " ('b', 'anna', 's', 'waiting'), ('c', 'anna', 's', 'delivered')"
        )
        db.commit()
    ledger = Ledger.open(tmp_path)
    assert mails(ledger) == 1
    ledger.close()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        assert db.execute("SELECT at FROM began").fetchone() == (1234.0,)


def test_a_new_ledger_begins_now(ledger: Ledger, tmp_path: Path) -> None:
    bring_to(ledger, ObjectState.WAITING)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db:
        (at,) = db.execute("SELECT at FROM began").fetchone()
    assert isinstance(at, float)
    assert at == pytest.approx(time.time(), abs=60)


def test_shares_are_read_off_the_classes() -> None:
    some = Latencies({1.0: 2, 2.0: 1, 5.0: 0, math.inf: 1}, 0.0)
    assert some.within(0.5) == 1.0
    assert some.within(0.75) == 2.0
    assert some.within(0.95) == math.inf
    assert some.within(0.0) == 1.0
    assert Latencies({1.0: 0}, 0.0).within(0.5) is None
