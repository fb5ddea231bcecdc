"""A lost or old ledger: what is in the Maildirs is not delivered again, what is new is, once."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from postamt_sync.app.sync import SyncOptions
from postamt_sync.config import load
from postamt_sync.delivery.filename import make_stem
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import CourierLock, Ledger, ObjectState
from postamt_sync.ledger.backup import BACKUP_NAME, back_up
from postamt_sync.ledger.store import FILE_NAME
from postamt_sync.mail.arrival import Arrival, Envelope, Source
from postamt_sync.recovery.completion import complete_from_maildirs
from postamt_sync.recovery.open_ledger import open_for_delivery
from tests.delivery.home import Home
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import refuse
from tests.recovery.box import LONG_AGO, Box
from tests.support.household import configuration, configure

pytestmark = pytest.mark.slow


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with S3Double() as s3:
        yield Box(tmp_path, s3)


def once(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, 1)


async def an_old_ledger_in_place(box: Box) -> None:
    """It knows a; b and c came since, and b was deleted."""
    box.put("a")
    await box.sync()
    back_up(box.state, box.state)
    box.put("b", "c", since=10)
    await box.sync()
    box.files()["b"][0].unlink()
    for name in box.state.glob(f"{FILE_NAME}*"):
        name.unlink()
    shutil.copy(box.state / BACKUP_NAME, box.state / FILE_NAME)


class TestLost:
    async def test_a_copy_that_is_missing_beside_another_is_told(self, box: Box) -> None:
        """Whom a mail names is known by the copy that is there, without any receipt."""
        box.put("a", "b", "c", to="anna bruno")
        await box.sync()
        box.files()["b"][0].unlink()
        box.lose()
        await box.sync()
        assert box.counts() == once("a", "c")
        ledger = Ledger.open_existing(box.state)
        known = ledger.inventory.between(box.s3.bucket, "", None)
        assert [one.absent for one in known] == [(), ("anna",), ()]
        ledger.close()

    async def test_nothing_comes_twice(self, box: Box) -> None:
        box.put("a", "b", "c")
        await box.sync()
        box.lose()
        gets = box.s3.gets
        await box.sync()
        assert box.counts() == once("a", "b", "c")
        assert box.states() == {"delivered": 3}
        assert box.s3.gets == gets  # the names say it all

    async def test_what_is_newer_than_the_newest_name_is_delivered(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        box.lose()
        box.put("c", "d", since=10)
        result = await box.sync()
        assert box.counts() == once("a", "b", "c", "d")
        assert (result.totals.delivered, result.totals.known) == (2, 2)

    async def test_what_was_deleted_at_home_stays_deleted(self, box: Box) -> None:
        box.put("a", "b", "c")
        await box.sync()
        box.files()["b"][0].unlink()
        box.lose()
        result = await box.sync()
        assert box.counts() == once("a", "c")
        assert box.state_of("b") == "absent"
        assert result.totals.known == 3
        await box.sync()
        assert box.counts() == once("a", "c")

    async def test_a_mail_of_the_newest_names_second_is_delivered(self, box: Box) -> None:
        box.put("a")
        await box.sync()
        box.lose()
        box.s3.put("incoming/b", b"Subject: b\r\n\r\n", last_modified=LONG_AGO + 0.0)
        await box.sync()
        assert box.counts() == once("a", "b")

    async def test_mail_moved_and_flagged_counts_as_there(self, box: Box) -> None:
        box.put("a", "b", "c")
        await box.sync()
        files = {name: paths[0] for name, paths in box.files().items()}
        archive = box.root / "anna" / ".Archive.2024"
        for part in ("tmp", "new", "cur"):
            (archive / part).mkdir(parents=True, exist_ok=True)
        files["a"].rename(archive / "cur" / f"{files['a'].name}:2,FS")
        files["b"].rename(box.root / "anna" / "cur" / f"{files['b'].name}:2,Sab")
        box.lose()
        await box.sync()
        assert box.counts() == once("a", "b", "c")
        assert box.states() == {"delivered": 3}

    async def test_each_mailboxes_names_count(self, box: Box) -> None:
        box.put("a", to="anna")
        box.put("b", to="bruno", since=1)
        box.put("both", to="anna bruno", since=2)
        await box.sync()
        box.lose()
        await box.sync()
        assert box.counts("anna") == once("a", "both")
        assert box.counts("bruno") == once("b", "both")

    async def test_without_any_name_it_is_a_first_start(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        for path in (box.files()["a"][0], box.files()["b"][0]):
            path.unlink()
        box.lose()
        await box.sync()
        assert box.counts() == once("a", "b")
        assert not box.said("the ledger is lost or old, rebuilding it from the Maildirs")

    async def test_a_delivery_that_was_under_way_is_finished(self, box: Box) -> None:
        """Anna's copy was renamed, Bruno's lies in tmp/ still."""
        box.put("both", to="anna bruno")
        box.put("newer", since=5)
        await box.sync()
        (copy,) = box.files("bruno")["both"]
        copy.rename(box.root / "bruno" / "tmp" / copy.name.partition(",")[0])
        box.lose()
        await box.sync()
        assert box.counts("anna") == once("both", "newer")
        assert box.counts("bruno") == once("both")
        assert list((box.root / "bruno" / "tmp").iterdir()) == []

    async def test_a_mail_that_only_lay_in_tmp_is_delivered(self, box: Box) -> None:
        box.put("a", "newer")
        await box.sync()
        (copy,) = box.files()["a"]
        copy.rename(box.root / "anna" / "tmp" / copy.name.partition(",")[0])
        box.lose()
        await box.sync()
        assert box.counts() == once("a", "newer")

    async def test_the_same_content_under_another_etag_is_no_new_mail(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        body = box.s3.objects["incoming/a"].body
        box.lose()
        box.s3.put("incoming/a", body, etag="0" * 32 + "-2", last_modified=LONG_AGO)
        await box.sync()
        assert box.counts() == once("a", "b")
        assert box.state_of("a") == "delivered"

    async def test_another_content_is_a_new_mail(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        box.lose()
        box.s3.put("incoming/a", b"Subject: a2\r\n\r\n", last_modified=LONG_AGO)
        await box.sync()
        assert box.counts() == once("a", "a2", "b")

    async def test_names_of_another_bucket_make_nothing_absent(self, box: Box) -> None:
        stem = make_stem("another", "incoming/z", "e", LONG_AGO + 999)
        for part in ("tmp", "new", "cur"):
            (box.root / "anna" / part).mkdir(parents=True, exist_ok=True)
            (box.root / "bruno" / part).mkdir(parents=True, exist_ok=True)
        (box.root / "anna" / "new" / f"{stem},S=1,W=1").write_bytes(b"x")
        box.put("a")
        await box.sync()
        assert box.counts()["a"] == 1
        box.log.said.clear()
        await box.sync()  # and they are known now
        assert not box.said("the ledger is lost or old, rebuilding it from the Maildirs")

    async def test_a_known_maildir_is_never_made_again(self, box: Box) -> None:
        box.put("a", to="anna bruno")
        await box.sync()
        box.lose()
        await box.sync()
        shutil.rmtree(box.root / "bruno")
        box.put("b", to="bruno", since=5)
        result = await box.sync()
        assert result.totals.failed == 1
        assert not (box.root / "bruno").exists()


class TestCutShort:
    async def test_until_the_bucket_was_listed_nothing_is_delivered(self, box: Box) -> None:
        box.put("a", "b", "c")
        await box.sync()
        box.files()["b"][0].unlink()
        box.lose()
        box.s3.page_size = 1
        box.s3.next(lambda reply: reply, times=2, of="listings")
        box.s3.next(refuse(403, "AccessDenied"), of="listings")
        result = await box.sync()
        assert result.error is not None
        assert box.counts() == once("a", "c")
        with open_for_delivery(box.settings, "test", Events(box.log)) as ledger:
            # Announced meanwhile, without a time: still nobody knows whether it is new.
            envelope = Envelope(("anna@example.com",))
            ledger.arrivals.record(
                [Arrival("mail", "incoming/d", Source.WEBHOOK, envelope=envelope)]
            )
            assert ledger.work.due(float("inf"), 10, ()) == []
        box.put("d", since=10)
        await box.sync()
        assert box.counts() == once("a", "c", "d")
        assert box.states() == {"delivered": 3, "absent": 1}

    async def test_an_announced_mail_that_was_deleted_stays_so(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        box.files()["a"][0].unlink()
        box.lose()
        with open_for_delivery(box.settings, "test", Events(box.log)) as ledger:
            old = Arrival(
                "mail", "incoming/a", Source.WEBHOOK, envelope=Envelope(("anna@example.com",))
            )
            ledger.arrivals.record([old])
            ledger.arrivals.record([old])
        await box.sync()
        assert box.counts() == once("b")

    async def test_a_missing_maildir_stops_it_before_anything_is_done(self, box: Box) -> None:
        box.put("a")
        box.put("b", to="bruno", since=1)
        await box.sync()
        box.lose()
        (box.root / "bruno").rename(box.root / "disk")
        (box.root / "bruno").mkdir()  # its mount point
        with pytest.raises(TryLaterError, match="Maildir of bruno is missing") as caught:
            await box.sync()
        assert "mkdir" in caught.value.hint
        assert list((box.root / "bruno").iterdir()) == []
        (box.root / "bruno").rmdir()
        (box.root / "disk").rename(box.root / "bruno")
        await box.sync()
        assert box.counts("bruno") == once("b")

    async def test_a_maildir_that_dovecot_fills_is_not_waited_for(self, box: Box) -> None:
        box.put("a")
        await box.sync()
        box.lose()
        (box.root / "bruno").mkdir()
        box.config.write_text(
            box.config.read_text().replace('name = "bruno"', 'name = "bruno"\ndelivery = "lmtp"')
        )
        await box.sync()
        assert box.counts() == once("a")

    async def test_nobody_rebuilds_beside_a_courier(self, box: Box) -> None:
        box.put("a")
        await box.sync()
        (box.state / FILE_NAME).unlink()
        with CourierLock(box.state, "run"), pytest.raises(TryLaterError, match="already"):
            await box.sync()
        assert not (box.state / FILE_NAME).exists()


class TestOld:
    async def test_a_copy_is_brought_back_and_completed(self, box: Box) -> None:
        box.put("a", "b", "c")
        await box.sync()
        (box.state / FILE_NAME).unlink()
        box.put("d", since=10)
        ledger = Ledger.open_for_a_look(box.state)
        ledger.close()
        await box.sync()
        assert box.said("the ledger was lost, its copy is brought back")
        assert box.counts() == once("a", "b", "c", "d")

    async def test_names_that_are_newer_than_the_copy_are_taken_in(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        back_up(box.state, box.state)
        box.put("c", "d", "e", since=10)
        await box.sync()
        box.files()["d"][0].unlink()
        box.put("f", since=20)
        (box.state / FILE_NAME).unlink()
        await box.sync()
        # Nobody can tell whether d was ever delivered: better twice than lost.
        assert box.counts() == once("a", "b", "c", "d", "e", "f")
        assert box.states() == {"delivered": 6}

    async def test_what_the_copy_knows_as_delivered_stays_deleted(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        back_up(box.state, box.state)
        box.put("c", since=10)
        await box.sync()
        box.files()["a"][0].unlink()
        (box.state / FILE_NAME).unlink()
        await box.sync()
        assert box.counts() == once("b", "c")
        assert box.states() == {"delivered": 3}

    async def test_what_waited_in_the_copy_is_still_delivered(self, box: Box) -> None:
        """It is older than the newest name, but the copy knows that it was never delivered."""
        box.put("a", "b")
        box.s3.next(refuse(403, "AccessDenied"), of="objects")
        await box.sync()
        back_up(box.state, box.state)
        box.put("c", since=10)
        waiting = {"a", "b"} - set(box.counts())
        assert len(waiting) == 1
        lost = box.state / FILE_NAME
        ledger = Ledger.open_existing(box.state)
        ledger.work.make_all_due()
        ledger.close()
        (waits,) = waiting
        stored = box.s3.objects.pop(f"incoming/{waits}")
        await box.sync()
        box.s3.objects[f"incoming/{waits}"] = stored
        lost.unlink()
        await box.sync()
        assert box.counts() == once("a", "b", "c")

    async def test_an_old_ledger_in_place_is_completed_too(self, box: Box) -> None:
        await an_old_ledger_in_place(box)
        await box.sync()
        assert box.counts() == once("a", "b", "c")
        assert box.states() == {"delivered": 3}

    async def test_a_backfill_older_than_the_newest_name_is_noticed(self, box: Box) -> None:
        box.put("new", since=100)
        await box.sync()
        back_up(box.state, box.state)
        box.put("old")
        await box.sync()
        (box.state / FILE_NAME).unlink()
        await box.sync()
        assert box.counts() == once("new", "old")

    async def test_a_damaged_copy_is_as_good_as_none(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        (box.state / BACKUP_NAME).write_bytes(b"garbage" * 1000)
        (box.state / FILE_NAME).unlink()
        await box.sync()
        assert box.counts() == once("a", "b")
        assert not box.said("the ledger was lost, its copy is brought back")

    async def test_what_the_lost_ledger_left_beside_it_does_no_harm(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        shutil.copy(box.state / FILE_NAME, box.root / "saved")
        db = sqlite3.connect(box.state / FILE_NAME)
        db.execute("UPDATE objects SET state = 'quarantined'")
        db.commit()
        wal = (box.state / f"{FILE_NAME}-wal").read_bytes()
        db.close()
        (box.state / FILE_NAME).unlink()
        (box.state / f"{FILE_NAME}-wal").write_bytes(wal)
        await box.sync()
        assert box.counts() == once("a", "b")
        assert box.states() == {"delivered": 2}

    async def test_a_healthy_ledger_is_left_alone(self, box: Box) -> None:
        box.put("a", "b")
        await box.sync()
        box.files()["a"][0].unlink()
        await box.sync()
        assert box.states() == {"delivered": 2}
        assert not box.said("the ledger is lost or old, rebuilding it from the Maildirs")


class TestRehearsal:
    """`sync --dry-run` tells what a rebuild would come to, and leaves nothing behind."""

    async def test_of_a_lost_ledger_creates_nothing(self, box: Box) -> None:
        box.put("a", "b", "c")
        await box.sync()
        box.files()["a"][0].unlink()
        box.lose()
        box.put("d", since=10)
        result = await box.sync(SyncOptions(dry_run=True))
        assert (result.totals.known, result.totals.waiting) == (3, 1)
        assert not box.state.exists()
        assert box.counts() == once("b", "c")

    async def test_of_an_old_ledger_changes_nothing(self, box: Box) -> None:
        await an_old_ledger_in_place(box)
        result = await box.sync(SyncOptions(dry_run=True))
        assert (result.totals.known, result.totals.waiting) == (2, 1)
        assert box.states() == {"delivered": 1}


class TestDailyCopy:
    async def test_is_made_by_a_pass_once_a_day(self, box: Box) -> None:
        box.put("a")
        await box.sync()
        first = (box.state / BACKUP_NAME).stat()
        await box.sync()
        assert (box.state / BACKUP_NAME).stat().st_ino == first.st_ino
        yesterday = time.time() - 90_000
        os.utime(box.state / BACKUP_NAME, (yesterday, yesterday))
        await box.sync()
        assert (box.state / BACKUP_NAME).stat().st_ino != first.st_ino

    async def test_is_kept_on_a_second_disk_too(self, box: Box) -> None:
        second = box.root / "second"
        second.mkdir()
        box.config.write_text(f'backup_dir = "{second}"\n' + box.config.read_text())
        box.put("a", "b")
        await box.sync()
        box.files()["a"][0].unlink()
        box.lose()
        await box.sync()
        assert box.said("the ledger was lost, its copy is brought back")
        assert box.states() == {"delivered": 2}
        assert box.counts() == once("b")

    async def test_an_unmounted_second_disk_is_told_and_harms_nothing(self, box: Box) -> None:
        second = box.root / "second"
        box.config.write_text(f'backup_dir = "{second}"\n' + box.config.read_text())
        box.put("a")
        await box.sync()
        assert not second.exists()
        assert (box.state / BACKUP_NAME).exists()
        ledger = Ledger.open_existing(box.state)
        (source,) = [s for s in ledger.overview.sources() if s.source == "copy"]
        ledger.close()
        assert "there is no such directory" in (source.problem or "")
        assert ObjectState.DELIVERED in box.states()


class TestAMaildirThatHangs:
    async def test_holds_up_no_start_and_is_taken_in_before_anything_goes_into_it(
        self, tmp_path: Path
    ) -> None:
        home = Home(tmp_path)
        home.bucket.put("k", b"Subject: x\r\n\r\nmail\r\n")
        home.announce("k", "anna")
        await home.deliver()
        text = configuration(tmp_path, people=["anna"], maildirs=tmp_path / "mail")
        settings = load(configure(tmp_path, text), {})
        gate = threading.Event()

        def look(root: Path) -> Iterator[tuple[str, str]]:
            if root == home.root("anna"):
                gate.wait(60)
            yield from ()

        complete_from_maildirs(settings, home.ledger, home.events, look=look)
        assert not gate.is_set()
        assert any("cannot be read" in event for event in home.log.events("error"))
        assert home.ledger.work.roots.is_distrusted(home.root("anna"))
        gate.set()
        home.mailboxes.ready("anna")
        assert not home.ledger.work.roots.is_distrusted(home.root("anna"))
        home.close()
