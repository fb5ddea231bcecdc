"""One pass: what it delivers, what it counts, and that it may be cut short anywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest

from postamt_sync.app.sync import SyncOptions, SyncProgress, SyncResult, SyncRun
from postamt_sync.bucket import Bucket
from postamt_sync.config import Settings
from postamt_sync.errors import ExitCode, MisconfiguredError, TryLaterError
from postamt_sync.ledger import CourierLock, Ledger, ObjectState
from postamt_sync.ledger.sync_runs import SyncTotals
from postamt_sync.logs import configure_logging
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import refuse
from tests.support import household

DAY = 86_400


@pytest.fixture
async def s3() -> AsyncIterator[S3Double]:
    async with S3Double() as double:
        yield double


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return household.settings(tmp_path)


async def make_pass(
    settings: Settings,
    s3: S3Double,
    options: SyncOptions | None = None,
    watch: list[SyncProgress] | None = None,
) -> SyncResult:
    bucket = Bucket(s3.bucket, s3.region, session=s3.session())
    stages = [] if watch is None else watch
    events = configure_logging(level="critical")
    return await SyncRun(settings, events, bucket, options or SyncOptions(), stages.append).run()


def counts(totals: SyncTotals) -> dict[str, int]:
    assert totals.listed == sum(asdict(totals).values()) - totals.listed
    return {name: count for name, count in asdict(totals).items() if count}


def files(settings: Settings, mailbox: str) -> list[bytes]:
    root = next(m.maildir for m in settings.mailboxes if m.name == mailbox)
    return sorted(path.read_bytes() for path in root.glob("**/new/*"))


def put_one_of_each(s3: S3Double) -> None:
    s3.put("incoming/", b"")
    s3.put("incoming/AMAZON_SES_SETUP_NOTIFICATION", b"hello")
    s3.put("incoming/a", b"To: anna@example.com\r\n\r\na")
    s3.put("incoming/both", b"To: anna@example.com, bruno@example.com\r\n\r\nboth")
    s3.put("incoming/cold", b"cold", storage_class="DEEP_ARCHIVE")
    s3.put("incoming/encrypted", b"?", headers={"x-amz-meta-x-amz-key-v2": "x"})


@pytest.mark.slow
async def test_counts_mails_not_copies(settings: Settings, s3: S3Double) -> None:
    put_one_of_each(s3)
    result = await make_pass(settings, s3)
    assert counts(result.totals) == {
        "listed": 6,
        "delivered": 2,
        "archived": 1,
        "quarantined": 1,
        "skipped": 2,
    }
    assert result.error is None
    assert result.bytes == len(s3.objects["incoming/a"].body + s3.objects["incoming/both"].body)
    assert len(files(settings, "anna")) == 2
    assert files(settings, "bruno") == [s3.objects["incoming/both"].body]


@pytest.mark.slow
async def test_a_second_pass_finds_nothing_to_do(settings: Settings, s3: S3Double) -> None:
    put_one_of_each(s3)
    await make_pass(settings, s3)
    gets = s3.gets
    result = await make_pass(settings, s3)
    assert counts(result.totals) == {"listed": 6, "known": 3, "archived": 1, "skipped": 2}
    assert s3.gets == gets
    assert len(files(settings, "anna")) == 2


async def test_a_dry_run_changes_nothing(settings: Settings, s3: S3Double) -> None:
    put_one_of_each(s3)
    result = await make_pass(settings, s3, SyncOptions(dry_run=True))
    assert counts(result.totals) == {"listed": 6, "waiting": 3, "archived": 1, "skipped": 2}
    assert not settings.state_dir.exists()
    assert s3.gets == 0


@pytest.mark.slow
async def test_a_dry_run_after_a_pass_knows_what_was_done(settings: Settings, s3: S3Double) -> None:
    put_one_of_each(s3)
    await make_pass(settings, s3)
    s3.put("incoming/new", b"To: anna@example.com\r\n\r\nnew")
    s3.put("incoming/a", b"To: anna@example.com\r\n\r\nchanged")
    result = await make_pass(settings, s3, SyncOptions(dry_run=True))
    assert counts(result.totals) == {
        "listed": 7,
        "known": 2,
        "waiting": 2,
        "archived": 1,
        "skipped": 2,
    }


@pytest.mark.slow
async def test_an_adopted_bucket_is_not_imported(settings: Settings, s3: S3Double) -> None:
    put_one_of_each(s3)
    result = await make_pass(settings, s3, SyncOptions(mark_delivered=True))
    assert counts(result.totals) == {"listed": 6, "known": 4, "skipped": 2}
    assert files(settings, "anna") == []
    s3.put("incoming/z", b"To: anna@example.com\r\n\r\nlater")
    result = await make_pass(settings, s3)
    assert counts(result.totals) == {"listed": 7, "known": 4, "delivered": 1, "skipped": 2}
    assert files(settings, "anna") == [s3.objects["incoming/z"].body]


@pytest.mark.slow
async def test_what_waits_can_be_adopted_later(settings: Settings, s3: S3Double) -> None:
    s3.put("incoming/a", b"To: anna@example.com\r\n\r\na")
    s3.next(refuse(500, "InternalError"), times=9, of="objects")
    assert counts((await make_pass(settings, s3)).totals) == {"listed": 1, "failed": 1}
    s3.heal()
    result = await make_pass(settings, s3, SyncOptions(mark_delivered=True))
    assert counts(result.totals) == {"listed": 1, "known": 1}
    assert files(settings, "anna") == []


@pytest.mark.slow
async def test_since_leaves_the_older_out_for_good(settings: Settings, s3: S3Double) -> None:
    now = time.time()
    s3.put("incoming/old", b"To: anna@example.com\r\n\r\nold", last_modified=now - 40 * DAY)
    s3.put("incoming/young", b"To: anna@example.com\r\n\r\nyoung", last_modified=now - 5 * DAY)
    result = await make_pass(settings, s3, SyncOptions(since=now - 30 * DAY))
    assert counts(result.totals) == {"listed": 2, "known": 1, "delivered": 1}
    assert counts((await make_pass(settings, s3)).totals) == {"listed": 2, "known": 2}
    assert files(settings, "anna") == [s3.objects["incoming/young"].body]


@pytest.mark.slow
async def test_a_failed_mail_is_counted_and_comes_with_the_next_pass(
    settings: Settings, s3: S3Double
) -> None:
    s3.put("incoming/a", b"To: anna@example.com\r\n\r\na")
    s3.next(refuse(500, "InternalError"), times=9, of="objects")
    assert counts((await make_pass(settings, s3)).totals) == {"listed": 1, "failed": 1}
    s3.heal()
    assert counts((await make_pass(settings, s3)).totals) == {"listed": 1, "delivered": 1}


async def test_what_vanished_between_listing_and_fetch_is_gone(
    settings: Settings, s3: S3Double
) -> None:
    s3.put("incoming/a", b"To: anna@example.com\r\n\r\na")
    s3.next(refuse(404, "NoSuchKey"), of="objects")
    assert counts((await make_pass(settings, s3)).totals) == {"listed": 1, "gone": 1}


@pytest.mark.slow
async def test_a_bucket_that_fails_ends_the_pass_with_its_reason(
    settings: Settings, s3: S3Double
) -> None:
    for n in range(40):
        s3.put(f"incoming/{n}", b"To: anna@example.com\r\n\r\na")
    s3.next(refuse(403, "InvalidAccessKeyId"), times=1000, of="objects")
    result = await make_pass(settings, s3)
    assert isinstance(result.error, MisconfiguredError)
    assert result.error.exit_code is ExitCode.CONFIGURATION
    assert result.totals.failed == 40 == result.totals.listed


@pytest.mark.slow
async def test_a_pass_tells_how_far_it_has_come(settings: Settings, s3: S3Double) -> None:
    put_one_of_each(s3)
    stages: list[SyncProgress] = []
    await make_pass(settings, s3, watch=stages)
    last = stages[-1]
    assert (last.listing, last.listed, last.todo) == (False, 6, 6)
    assert last.done == 3  # two delivered, one quarantined; the rest was settled by the listing
    assert last.bytes > 0


async def test_only_one_delivers(settings: Settings, s3: S3Double) -> None:
    settings.state_dir.mkdir()
    with CourierLock(settings.state_dir, "run"), pytest.raises(TryLaterError, match="run, process"):
        await make_pass(settings, s3)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.0, 0.02, 0.05, 0.1, 0.2])
async def test_cut_short_at_any_moment_the_next_pass_completes_it(
    settings: Settings, s3: S3Double, moment: float
) -> None:
    bodies = []
    for n in range(150):
        body = b"To: anna@example.com\r\n\r\n" + b"x" * (n * 997)
        bodies.append(body)
        s3.put(f"incoming/{n}", body)
    work = asyncio.create_task(make_pass(settings, s3))
    await asyncio.sleep(moment)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    result = await make_pass(settings, s3)
    assert result.totals.known + result.totals.delivered == 150
    assert files(settings, "anna") == sorted(bodies)
    ledger = Ledger.open(settings.state_dir)
    assert ledger.overview.states()[ObjectState.DELIVERED] == 150
    ledger.close()
