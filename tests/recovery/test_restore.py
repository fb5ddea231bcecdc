"""Bringing back: only what is missing, only where it is missing, from archives that take time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

import pytest

from postamt_sync.app.recovery_components import make_restore
from postamt_sync.delivery.filename import parse_name
from postamt_sync.errors import MisconfiguredError, PostamtError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.recovery.difference import Difference
from postamt_sync.recovery.restore import RestoreProgress
from postamt_sync.recovery.verify import Comparison
from tests.doubles.s3_faults import refuse
from tests.recovery.box import LONG_AGO, Box

pytestmark = pytest.mark.slow


class StoppedError(Exception):
    """Someone pressed Ctrl-C."""


class Waiting:
    """Sleeps that a test sees; none is as long as it says, and in the first something happens."""

    def __init__(self, first: Callable[[], object] = lambda: None) -> None:
        self.seconds: list[float] = []
        self._first = first

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if len(self.seconds) == 1:
            self._first()
        await asyncio.sleep(0.02)


def stop() -> None:
    raise StoppedError


def hours_later(box: Box) -> None:
    """All that was asked for can be read now."""
    box.s3.restores = dict.fromkeys(box.s3.restores, 0.0)


async def found(box: Box, *keys: str) -> list[Difference]:
    with closing(Ledger.open_existing(box.state)) as ledger:
        async with box.bucket() as bucket:
            comparison = Comparison(box.settings, ledger, bucket)
            if not keys:
                return await comparison.run()
            return [d for key in keys for d in await comparison.run(f"incoming/{key}")]


async def restore(
    box: Box, wanted: Sequence[Difference], tier: str = "Bulk", sleep: Waiting | None = None
) -> RestoreProgress:
    client = box.s3.session().client("s3", region_name=box.s3.region)
    with closing(Ledger.open_existing(box.state)) as ledger:
        async with box.bucket() as bucket:
            work = make_restore(
                box.settings, ledger, bucket, client, Events(box.log), sleep=sleep or Waiting()
            )
            return await work.run(wanted, tier, 3)


def editions(box: Box, name: str, mailbox: str = "anna") -> list[int]:
    names = [parse_name(path.name) for path in box.files(mailbox).get(name, [])]
    return sorted(parsed.edition for parsed in names if parsed is not None)


async def test_what_is_missing_comes_back_as_a_new_file(box: Box) -> None:
    box.put("a", "b")
    await box.sync()
    (path,) = box.files()["a"]
    body = path.read_bytes()
    path.unlink()
    progress = await restore(box, await found(box))
    assert (progress.wanted, progress.delivered, progress.failed) == (1, 1, 0)
    (back,) = box.files()["a"]
    assert back.read_bytes() == body
    assert editions(box, "a") == [1]
    assert editions(box, "b") == [0]
    assert await found(box) == []


async def test_it_comes_only_into_mailboxes_that_lost_it(box: Box) -> None:
    box.put("both", to="anna bruno")
    await box.sync()
    box.files("bruno")["both"][0].unlink()
    await restore(box, await found(box))
    assert editions(box, "both", "anna") == [0]
    assert editions(box, "both", "bruno") == [1]
    assert await found(box) == []
    box.files("anna")["both"][0].unlink()
    await restore(box, await found(box))
    assert editions(box, "both", "anna") == [2]
    assert editions(box, "both", "bruno") == [1]
    await box.sync()
    assert box.counts("anna") == box.counts("bruno") == {"both": 1}


async def test_absent_mail_comes_back(box: Box) -> None:
    box.put("a", "b")
    await box.sync()
    box.files()["a"][0].unlink()
    box.lose()
    await box.sync()
    assert box.counts() == {"b": 1}
    progress = await restore(box, await found(box))
    assert progress.delivered == 1
    assert box.counts() == {"a": 1, "b": 1}
    assert editions(box, "a") == [1]  # Dovecot has seen its first name


async def test_a_whole_lost_disk_comes_back(box: Box) -> None:
    names = [f"m{n}" for n in range(30)]
    box.put(*names)
    await box.sync()
    for paths in box.files().values():
        paths[0].unlink()
    progress = await restore(box, await found(box))
    assert progress.delivered == len(names)
    assert box.counts() == dict.fromkeys(sorted(names), 1)


class TestArchives:
    @pytest.fixture
    async def cold(self, box: Box) -> Box:
        """Two mails that lie in archives and were never at home, and one that was."""
        for name, storage_class in (("g", "GLACIER"), ("d", "DEEP_ARCHIVE")):
            box.s3.put(
                f"incoming/{name}",
                f"To: anna@example.com\r\nSubject: {name}\r\n\r\n".encode(),
                storage_class=storage_class,
                last_modified=LONG_AGO,
            )
        box.put("a")
        await box.sync()
        assert box.counts() == {"a": 1}
        return box

    async def test_are_asked_waited_for_and_fetched(self, cold: Box) -> None:
        cold.s3.restore_seconds = 3600.0
        waiting = Waiting(lambda: hours_later(cold))
        progress = await restore(cold, await found(cold), sleep=waiting)
        assert (progress.wanted, progress.asked, progress.readable, progress.delivered) == (
            2,
            2,
            2,
            2,
        )
        assert cold.counts() == {"a": 1, "d": 1, "g": 1}
        assert waiting.seconds[0] == 900.0

    async def test_each_is_asked_for_once(self, cold: Box) -> None:
        cold.s3.restore_seconds = 3600.0
        await restore(cold, await found(cold), sleep=Waiting(lambda: hours_later(cold)))
        posts = [t for t in cold.s3.targets if t.endswith("?restore")]
        assert len(posts) == 2

    async def test_a_stopped_restore_goes_on_with_the_next(self, cold: Box) -> None:
        cold.s3.restore_seconds = 3600.0
        with pytest.raises(StoppedError):
            await restore(cold, await found(cold), sleep=Waiting(stop))
        assert set(cold.s3.restores) == {"incoming/g", "incoming/d"}
        assert cold.counts() == {"a": 1}
        hours_later(cold)
        progress = await restore(cold, [])
        assert (progress.wanted, progress.delivered) == (2, 2)
        assert cold.counts() == {"a": 1, "d": 1, "g": 1}
        posts = [t for t in cold.s3.targets if t.endswith("?restore")]
        assert len(posts) == 2

    async def test_what_the_reconcile_found_first_is_not_brought_twice(self, cold: Box) -> None:
        cold.s3.restore_seconds = 3600.0
        with pytest.raises(StoppedError):
            await restore(cold, await found(cold), sleep=Waiting(stop))
        hours_later(cold)
        await cold.sync()
        assert cold.counts() == {"a": 1, "d": 1, "g": 1}
        await restore(cold, [])
        assert cold.counts() == {"a": 1, "d": 1, "g": 1}

    async def test_a_refusal_says_which_right_is_missing(self, cold: Box) -> None:
        wanted = await found(cold)
        cold.s3.next(refuse(403, "AccessDenied"), times=9)
        with pytest.raises(ExceptionGroup) as caught:
            await restore(cold, wanted)
        (error, *_) = caught.value.exceptions
        assert isinstance(error, MisconfiguredError)
        assert "s3:RestoreObject" in error.hint
        cold.s3.heal()
        assert (await restore(cold, [])).delivered == 2

    async def test_an_object_that_is_gone_meanwhile_ends_no_other(self, cold: Box) -> None:
        wanted = await found(cold)
        del cold.s3.objects["incoming/d"]
        progress = await restore(cold, wanted)
        assert (progress.delivered, progress.failed) == (1, 1)
        assert cold.counts() == {"a": 1, "g": 1}

    async def test_mail_deleted_at_home_and_archived_since(self, cold: Box) -> None:
        body = cold.s3.objects["incoming/a"].body
        cold.s3.put("incoming/a", body, storage_class="GLACIER", last_modified=LONG_AGO)
        cold.files()["a"][0].unlink()
        await restore(cold, [d for d in await found(cold) if d.key == "incoming/a"])
        assert cold.counts() == {"a": 1}
        assert editions(cold, "a") == [1]


async def test_mail_that_cannot_be_delivered_does_not_hold_up_the_end(box: Box) -> None:
    box.put("a", "b")
    await box.sync()
    for name in ("a", "b"):
        box.files()[name][0].unlink()
    wanted = await found(box)
    box.s3.put("incoming/a", b"?", headers={"x-amz-meta-x-amz-key-v2": "x"})
    progress = await restore(box, wanted)
    assert (progress.delivered, progress.failed) == (1, 1)


async def test_without_the_bucket_what_was_ordered_is_kept(box: Box) -> None:
    box.put("a")
    await box.sync()
    box.files()["a"][0].unlink()
    wanted = await found(box)
    box.s3.next(refuse(503, "SlowDown"), times=50)
    with suppress(PostamtError):
        async with asyncio.timeout(20):
            await restore(box, wanted)
    box.s3.heal()
    await box.sync()
    assert box.counts() == {"a": 1}
