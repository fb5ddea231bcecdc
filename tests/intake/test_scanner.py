"""Listings against the ledger: over real HTTP, and in volume against a bucket in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.bucket import Bucket, Listed, SealedPlace
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.intake.scanner import Scanner, ScanResult
from postamt_sync.ledger import Ledger, ObjectState
from postamt_sync.mail.arrival import Arrival, Source
from postamt_sync.mail.sealed_name import SealedName
from postamt_sync.mail.sent_mail import sent_key
from tests.doubles.inbox import MemoryLog
from tests.doubles.ledger import copy, deliver, due, event, row, state, take
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import refuse
from tests.doubles.s3_keys import ODD_KEYS
from tests.support.new_ledger import new_ledger

IN, RECENT = "incoming/", "recent/"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = new_ledger(tmp_path)
    yield ledger
    ledger.close()


@pytest.fixture
async def s3() -> AsyncIterator[S3Double]:
    async with S3Double() as s3:
        yield s3


@pytest.fixture
async def bucket(s3: S3Double) -> AsyncIterator[Bucket]:
    async with Bucket("mail", "eu-west-1", session=s3.session(), connections=2) as bucket:
        yield bucket


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
def scanner(bucket: Bucket, ledger: Ledger, log: MemoryLog) -> Scanner:
    return Scanner(bucket, ledger, Events(log), IN, RECENT)


def put(s3: S3Double, name: str, body: bytes = b"mail") -> None:
    """Store a mail as the receipt rule does: twice."""
    s3.put(IN + name, body, last_modified=5000)
    s3.put(RECENT + name, body, last_modified=5000)


# Everything


async def test_everything_is_taken_in_with_what_a_listing_knows(
    s3: S3Double, scanner: Scanner, ledger: Ledger, tmp_path: Path
) -> None:
    put(s3, "a", b"12345")
    assert await scanner.everything(Source.RECONCILE) == ScanResult(1, 1)
    assert due(ledger) == ["incoming/a"]
    task = take(ledger, "incoming/a")
    assert (task.size, task.last_modified, task.etag) == (5, 5000, s3.objects["incoming/a"].etag)
    assert row(tmp_path, "incoming/a")["source"] == "reconcile"


async def test_a_listing_tells_when_that_came_which_is_not_at_home_yet(
    s3: S3Double, scanner: Scanner, ledger: Ledger, log: MemoryLog, tmp_path: Path
) -> None:
    """An event of S3 names no time, and may have lain in the queue for two weeks."""
    for name in "abc":
        put(s3, name)
        ledger.arrivals.record([event(s3.objects[IN + name].etag, IN + name)])
    deliver(ledger, take(ledger, IN + "a"), copy("anna"), etag=s3.objects[IN + "a"].etag)
    with ledger.store.writing() as db:
        db.execute("UPDATE objects SET last_modified = NULL")
        db.execute("UPDATE objects SET state = 'quarantined' WHERE key = 'incoming/b'")
    before = [row(tmp_path, IN + name)["state"] for name in "abc"]
    assert await scanner.everything(Source.RECONCILE) == ScanResult(3, 0)
    times = [row(tmp_path, IN + name)["last_modified"] for name in "abc"]
    assert times == [None, 5000, 5000]
    assert [row(tmp_path, IN + name)["state"] for name in "abc"] == before
    assert await scanner.everything(Source.RECONCILE) == ScanResult(3, 0)
    assert "announced" not in log.events()


async def test_a_second_look_finds_nothing_new(
    s3: S3Double, scanner: Scanner, ledger: Ledger, log: MemoryLog
) -> None:
    s3.page_size = 2
    for name in "abcde":
        put(s3, name)
    assert await scanner.everything(Source.SYNC) == ScanResult(5, 5)
    assert log.events().count("announced") == 5
    assert await scanner.everything(Source.SYNC) == ScanResult(5, 0)
    assert log.events().count("announced") == 5


async def test_an_announced_mail_is_not_new(s3: S3Double, scanner: Scanner, ledger: Ledger) -> None:
    put(s3, "a")
    ledger.arrivals.record([event(s3.objects["incoming/a"].etag, key="incoming/a")])
    assert await scanner.everything(Source.RECONCILE) == ScanResult(1, 0)


async def test_new_content_under_a_known_key_is_due_but_not_new(
    s3: S3Double, scanner: Scanner, ledger: Ledger
) -> None:
    put(s3, "a")
    await scanner.everything(Source.RECONCILE)
    deliver(ledger, take(ledger, "incoming/a"), copy(), etag=s3.objects["incoming/a"].etag)
    assert await scanner.everything(Source.RECONCILE) == ScanResult(1, 0)
    assert due(ledger) == []
    put(s3, "a", b"another")
    assert await scanner.everything(Source.RECONCILE) == ScanResult(1, 0)
    assert due(ledger) == ["incoming/a"]


async def test_an_archived_mail_is_due_once_it_is_restored(
    s3: S3Double, scanner: Scanner, ledger: Ledger
) -> None:
    s3.put("incoming/a", b"mail", storage_class="GLACIER")
    await scanner.everything(Source.RECONCILE)
    assert state(ledger, "incoming/a") is ObjectState.ARCHIVED
    s3.put("incoming/a", b"mail", storage_class="GLACIER", restored=True)
    assert await scanner.everything(Source.RECONCILE) == ScanResult(1, 0)
    assert due(ledger) == ["incoming/a"]


async def test_what_nobody_can_read_is_looked_at_once(
    s3: S3Double, bucket: Bucket, ledger: Ledger, log: MemoryLog
) -> None:
    taken_up: list[str] = []

    async def complete(arrivals: Sequence[Arrival]) -> list[Arrival]:
        taken_up.extend(arrival.key for arrival in arrivals)
        return list(arrivals)

    place = SealedPlace(IN, "sealed/", expected=True)
    scanner = Scanner(bucket, ledger, Events(log), IN, RECENT, complete, place)
    name = SealedName("b", datetime(2026, 1, 2, tzinfo=UTC), "e" * 32, 4)
    s3.put("incoming/a", b"mail", storage_class="GLACIER")
    s3.put("incoming/c", b"mail")
    s3.put(name.key("sealed/") or "", b"sealed")
    assert await scanner.everything(Source.RECONCILE) == ScanResult(3, 3)
    states = {key: state(ledger, f"incoming/{key}") for key in "abc"}
    assert states == {
        "a": ObjectState.ARCHIVED,
        "b": ObjectState.SEALED,
        "c": ObjectState.WAITING,
    }
    assert due(ledger) == ["incoming/c"]
    assert taken_up == ["incoming/a", "incoming/b", "incoming/c"]

    taken_up.clear()
    assert await scanner.everything(Source.RECONCILE) == ScanResult(3, 0)
    assert taken_up == [], "neither is news as long as it stays as it is"

    s3.put("incoming/a", b"mail", storage_class="GLACIER", restored=True)
    s3.put("incoming/b", b"mail")
    assert await scanner.everything(Source.RECONCILE) == ScanResult(3, 0)
    assert taken_up == ["incoming/a", "incoming/b"]
    assert sorted(due(ledger)) == ["incoming/a", "incoming/b", "incoming/c"]


async def test_odd_keys_spoil_nothing(s3: S3Double, scanner: Scanner, ledger: Ledger) -> None:
    odd = [key for key in ODD_KEYS if key.startswith(IN)]
    for key in odd:
        s3.put(key, b"mail")
    assert await scanner.everything(Source.RECONCILE) == ScanResult(len(odd), len(odd))
    assert sorted(due(ledger)) == sorted(odd)
    assert await scanner.everything(Source.RECONCILE) == ScanResult(len(odd), 0)


async def test_what_was_found_before_a_failure_stays(
    s3: S3Double, scanner: Scanner, ledger: Ledger
) -> None:
    s3.page_size = 2
    for name in "abcdef":
        put(s3, name)
    s3.next(lambda reply: reply, of="listings")
    s3.next(refuse(403, "AccessDenied"), of="listings")
    with pytest.raises(Exception, match="may not list"):
        await scanner.everything(Source.RECONCILE)
    assert due(ledger) == ["incoming/a", "incoming/b"]
    assert await scanner.everything(Source.RECONCILE) == ScanResult(6, 4)


# Recent mail


async def test_a_recent_twin_stands_for_its_namesake(
    s3: S3Double, scanner: Scanner, ledger: Ledger, tmp_path: Path
) -> None:
    put(s3, "a/b c")
    assert await scanner.recent() == ScanResult(1, 1)
    assert due(ledger) == ["incoming/a/b c"]
    found = row(tmp_path, "incoming/a/b c")
    assert (found["etag"], found["source"]) == (None, "poll")
    assert await scanner.recent() == ScanResult(1, 0)


async def test_only_the_recent_prefix_is_listed(s3: S3Double, scanner: Scanner) -> None:
    put(s3, "a")
    s3.put("incoming/old", b"mail")
    assert await scanner.recent() == ScanResult(1, 1)
    assert all("prefix=recent%2F" in target for target in s3.targets)


async def test_the_marker_of_the_recent_folder_is_no_mail(
    s3: S3Double, scanner: Scanner, ledger: Ledger
) -> None:
    s3.put(RECENT)
    assert await scanner.recent() == ScanResult(1, 0)
    assert due(ledger) == []


async def test_a_mail_seen_on_both_ways_is_one(
    s3: S3Double, scanner: Scanner, ledger: Ledger
) -> None:
    put(s3, "a")
    await scanner.everything(Source.RECONCILE)
    assert await scanner.recent() == ScanResult(1, 0)
    deliver(ledger, take(ledger, "incoming/a"), copy(), etag=s3.objects["incoming/a"].etag)
    assert await scanner.recent() == ScanResult(1, 0)
    assert await scanner.everything(Source.RECONCILE) == ScanResult(1, 0)
    assert due(ledger) == []


async def test_without_a_recent_prefix_everything_is_listed(
    s3: S3Double, bucket: Bucket, ledger: Ledger, tmp_path: Path
) -> None:
    put(s3, "a")
    scanner = Scanner(bucket, ledger, Events(MemoryLog()), IN, "")
    assert await scanner.recent() == ScanResult(1, 1)
    assert row(tmp_path, "incoming/a")["source"] == "poll"


# What was sent in the webmail


def sent(s3: S3Double, mailbox: str, month: str, *names: str) -> list[str]:
    keys = [sent_key(mailbox, month, f"{name:-<20}") for name in names]
    for key in keys:
        s3.put(key, b"mail", last_modified=5000)
    return keys


async def test_what_was_sent_is_found_with_one_request(
    s3: S3Double, scanner: Scanner, ledger: Ledger, tmp_path: Path
) -> None:
    keys = [
        *sent(s3, "anna", "2026-10", "a"),
        *sent(s3, "anna", "2026-11", "b"),
        *sent(s3, "bruno", "2026-11", "c"),
    ]
    assert await scanner.sent(Source.SENT, "2026-10") == ScanResult(3, 3)
    assert len(s3.targets) == 1
    assert due(ledger) == keys
    assert row(tmp_path, keys[0])["source"] == "sent"
    assert await scanner.sent(Source.SENT, "2026-10") == ScanResult(3, 0)


async def test_old_months_cost_no_request_each(s3: S3Double, scanner: Scanner) -> None:
    s3.page_size = 2
    for mailbox in ("anna", "bruno"):
        for month in ("2026-01", "2026-02", "2026-03", "2026-04"):
            sent(s3, mailbox, month, "a", "b", "c")
        sent(s3, mailbox, "2026-10", "d")
        sent(s3, mailbox, "2026-11", "e")
    result = await scanner.sent(Source.SENT, "2026-10")
    assert result == ScanResult(8, 8)
    assert len(s3.targets) == 4
    assert await scanner.sent(Source.RECONCILE) == ScanResult(28, 20)


async def test_junk_among_it_ends_no_listing(s3: S3Double, scanner: Scanner) -> None:
    s3.page_size = 1
    for key in ("sent/", "sent/junk", "sent/anna/1999-01/x", "sent/~"):
        s3.put(key, b"junk")
    sent(s3, "anna", "2026-11", "a")
    assert (await scanner.sent(Source.SENT, "2026-10")).listed == 5


async def test_no_index_is_asked_for_the_envelope_of_what_was_sent(
    s3: S3Double, bucket: Bucket, ledger: Ledger
) -> None:
    async def complete(_: object) -> list[Arrival]:
        raise AssertionError

    sent(s3, "anna", "2026-11", "a")
    scanner = Scanner(bucket, ledger, Events(MemoryLog()), IN, RECENT, complete)
    assert await scanner.sent(Source.SENT, "2026-10") == ScanResult(1, 1)


# Volume


@dataclass
class Shelf:
    """A bucket in memory, of which every `step`-th mail is there."""

    count: int
    step: int = 1
    fails_after: int | None = None
    name: str = "mail"

    async def pages(self, prefix: str) -> AsyncIterator[list[Listed]]:
        for number, start in enumerate(range(0, self.count, 1000 * self.step)):
            if number == self.fails_after:
                raise TryLaterError("The network cannot be reached.")
            end = min(start + 1000 * self.step, self.count)
            yield [_object(f"{prefix}{n:08}") for n in range(start, end, self.step)]


def _object(key: str) -> Listed:
    return Listed(key, "0" * 32, 100, "2026-01-01T00:00:00.000Z", "STANDARD", False)


def look_at(shelf: Shelf, ledger: Ledger) -> Scanner:
    bucket: Any = shelf
    return Scanner(bucket, ledger, Events(MemoryLog()), IN, RECENT)


async def test_pages_are_taken_in_one_by_one(ledger: Ledger) -> None:
    with pytest.raises(TryLaterError):
        await look_at(Shelf(5000, fails_after=2), ledger).everything(Source.SYNC)
    assert ledger.overview.states()[ObjectState.WAITING] == 2000


async def peak(ledger: Ledger, shelf: Shelf, *, recent: bool = False) -> int:
    """Bytes at the most while a look finds nothing new."""
    scanner = look_at(shelf, ledger)
    tracemalloc.start()
    try:
        looked = await (scanner.recent() if recent else scanner.everything(Source.SYNC))
        assert looked.new == 0
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
async def test_memory_grows_neither_with_the_bucket_nor_with_the_archive(ledger: Ledger) -> None:
    await look_at(Shelf(20_000), ledger).everything(Source.SYNC)
    await look_at(Shelf(20_000), ledger).recent()
    two_pages, twenty = await peak(ledger, Shelf(2_000)), await peak(ledger, Shelf(20_000))
    assert twenty < 1.5 * two_pages
    for recent in (False, True):
        # As many mails are listed, spread over two thousand known ones or over twenty thousand.
        close = await peak(ledger, Shelf(2_000, 10), recent=recent)
        far = await peak(ledger, Shelf(20_000, 100), recent=recent)
        assert far < 1.5 * close
