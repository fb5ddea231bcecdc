"""What a retry reads off the file: the truth table of the protocol after a stop at any point."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from postamt_sync.delivery.filename import make_stem
from postamt_sync.delivery.marker import MailboxVanishedError
from postamt_sync.delivery.pending_mail import DeliveryStep
from postamt_sync.delivery.publisher import Publisher
from tests.delivery.home import LONG_AGO, Home
from tests.delivery.test_publisher import BODY, written
from tests.doubles.disk import PowerCut

HOUR = 3600.0
LATE = 25 * HOUR
MARKED = ("create", "write", "sync", "close", "rename", "sync_directory")
"""One write of the marker of a root."""


def stopped(
    home: Home, step: DeliveryStep, *, done: bool, people: tuple[str, ...] = ("anna",)
) -> None:
    """Bring a mail to a step and stop dead there; then be a new process."""

    def observer(at: DeliveryStep, is_done: bool) -> None:
        if (at, is_done) == (step, done):
            raise PowerCut

    group = Publisher(home.ledger.work, home.events, observer)
    mail = written(home, "k", *people)
    with pytest.raises(PowerCut):
        group.publish([mail])
    home.bucket.put("k", BODY)
    home.reopen()


def prepared(home: Home, *people: str) -> None:
    stopped(home, DeliveryStep.PREPARE, done=True, people=people or ("anna",))


def renamed(home: Home, *people: str) -> None:
    stopped(home, DeliveryStep.PUBLISH, done=True, people=people or ("anna",))


def resume(home: Home) -> dict[str, str]:
    group = Publisher(home.ledger.work, home.events)
    return {n: str(e) for n, e in group.resume(home.task("k"), home.mailboxes).items()}


def names(home: Home) -> list[str]:
    return [str(path.relative_to(home.root("anna"))) for path in home.mails("anna")]


class TestPreparedAndStillInTmp:
    @pytest.mark.parametrize("ago", [0.0, LATE, -LATE])
    def test_goes_on_with_the_rename(self, home: Home, ago: float) -> None:
        prepared(home)
        home.prepared_ago(ago)
        assert resume(home) == {}
        stem = make_stem("mail", "k", "e1", LONG_AGO)
        assert names(home) == [f"new/{stem},S={len(BODY)},W={len(BODY)}"]
        assert home.bodies("anna") == [BODY]
        assert home.drafts("anna") == []
        assert home.state("k") == "delivered"

    def test_syncs_before_it_settles(self, home: Home) -> None:
        prepared(home)
        home.disk.calls.clear()
        resume(home)
        assert home.disk.names() == ["rename", "sync_directory", "sync_directory", *MARKED]

    def test_makes_its_folder_again(self, home: Home) -> None:
        group = Publisher(home.ledger.work, home.events)
        mail = written(home, "k", "anna", folder="Junk")
        shutil.rmtree(home.root("anna") / ".Junk")
        [published] = group.publish([mail])
        assert list(published.failed) == ["anna"]
        assert resume(home) == {}
        assert len(home.mails("anna", ".Junk")) == 1
        assert home.state("k") == "delivered"


class TestPreparedAndNotInTmp:
    def test_still_in_new(self, home: Home) -> None:
        renamed(home)
        before = names(home)
        home.disk.calls.clear()
        assert resume(home) == {}
        assert names(home) == before
        assert home.disk.names() == ["sync_directory", "sync_directory", *MARKED]
        assert home.state("k") == "delivered"

    @pytest.mark.parametrize("where", ["cur/x:2,FS", ".Archive/cur/x:2,S", None])
    def test_flagged_moved_or_expunged(self, home: Home, where: str | None) -> None:
        renamed(home)
        (mail,) = home.mails("anna")
        if where is None:
            mail.unlink()
        else:
            target = home.root("anna") / where.replace("x", mail.name)
            target.parent.mkdir(parents=True, exist_ok=True)
            mail.rename(target)
        before = names(home)
        assert resume(home) == {}
        assert names(home) == before
        assert home.state("k") == "delivered"
        assert home.deliveries("k") == {"anna": "delivered"}

    def test_its_folder_was_deleted(self, home: Home) -> None:
        group = Publisher(home.ledger.work, home.events, _stop_after_rename)
        mail = written(home, "k", "anna", folder="Junk")
        with pytest.raises(PowerCut):
            group.publish([mail])
        shutil.rmtree(home.root("anna") / ".Junk")
        assert resume(home) == {}
        assert home.mails("anna") == []
        assert not (home.root("anna") / ".Junk").exists()
        assert home.state("k") == "delivered"


def _stop_after_rename(step: DeliveryStep, done: bool) -> None:
    if (step, done) == (DeliveryStep.PUBLISH, True):
        raise PowerCut


class TestPreparedInAnotherTmp:
    """A Maildir was made again in the old one's place: its empty tmp/ proves nothing."""

    @pytest.fixture
    def made_anew(self, home: Home) -> Home:
        prepared(home, "anna")
        root = home.root("anna")
        root.rename(root.with_name("on-the-unmounted-disk"))
        for part in ("tmp", "new", "cur"):
            (root / part).mkdir(parents=True)
        return home

    async def test_is_written_again_once_a_person_has_accepted_it(self, made_anew: Home) -> None:
        home = made_anew
        await home.deliver()
        assert home.bodies("anna") == []
        assert "mailbox accept anna" in home.problem("k")
        home.mailboxes.accept("anna")
        for _ in range(2):
            await home.deliver()
        assert home.bodies("anna") == [BODY]
        assert home.state("k") == "delivered"
        assert any("better twice than lost" in event for event in home.log.events("warning"))

    async def test_goes_on_when_the_old_one_is_back(self, made_anew: Home) -> None:
        home = made_anew
        root = home.root("anna")
        root.rename(root.with_name("hidden"))
        root.with_name("on-the-unmounted-disk").rename(root)
        await home.deliver()
        assert home.bodies("anna") == [BODY]
        assert home.log.events("warning") == []


class TestPreparedAndTorn:
    async def test_a_draft_of_another_size_is_fetched_again(self, home: Home) -> None:
        prepared(home, "anna")
        (draft,) = home.drafts("anna")
        (home.root("anna") / "tmp" / draft).write_bytes(BODY[:-1])
        for _ in range(2):
            await home.deliver()
        assert home.bodies("anna") == [BODY]
        assert home.drafts("anna") == []
        assert home.state("k") == "delivered"


class TestPreparedLongAgoAndNotInTmp:
    @pytest.mark.parametrize("ago", [LATE, -HOUR])
    @pytest.mark.parametrize("where", ["new/x", "cur/x:2,S", ".Archive/cur/x:2,S"])
    def test_found(self, home: Home, ago: float, where: str) -> None:
        renamed(home)
        (mail,) = home.mails("anna")
        target = home.root("anna") / where.replace("x", mail.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        mail.rename(target)
        home.prepared_ago(ago)
        assert resume(home) == {}
        assert home.mails("anna") == [target]
        assert home.state("k") == "delivered"
        assert "found in the Maildir after all" in home.log.events("warning")

    @pytest.mark.parametrize("ago", [LATE, -HOUR])
    async def test_nowhere_starts_again_and_says_so(self, home: Home, ago: float) -> None:
        renamed(home)
        home.mails("anna")[0].unlink()
        home.prepared_ago(ago)
        assert resume(home) == {}
        assert home.state("k") == "waiting"
        assert any("better twice than lost" in event for event in home.log.events("warning"))
        await home.deliver()
        assert home.bodies("anna") == [BODY]
        assert home.state("k") == "delivered"

    async def test_nowhere_in_one_mailbox_but_whole_in_the_other(self, home: Home) -> None:
        renamed(home, "anna", "bruno")
        home.mails("anna")[0].unlink()
        home.prepared_ago(LATE)
        await home.deliver()
        assert home.bodies("anna") == home.bodies("bruno") == [BODY]
        assert home.state("k") == "delivered"

    async def test_that_the_other_mailbox_comes_later_changes_nothing(self, home: Home) -> None:
        renamed(home, "anna", "bruno")
        home.mails("anna")[0].unlink()
        bruno = home.root("bruno")
        bruno.rename(bruno.with_name("unmounted"))
        home.prepared_ago(LATE)
        assert list(resume(home)) == ["bruno"]
        bruno.with_name("unmounted").rename(bruno)
        assert resume(home) == {}
        assert home.state("k") == "waiting"
        await home.deliver()
        assert home.bodies("anna") == home.bodies("bruno") == [BODY]

    def test_a_folder_that_cannot_be_read_decides_nothing(self, home: Home) -> None:
        renamed(home)
        home.mails("anna")[0].unlink()
        home.prepared_ago(LATE)
        (home.root("anna") / ".Loop").symlink_to(".Loop")
        assert list(resume(home)) == ["anna"]
        assert home.deliveries("k") == {"anna": "prepared"}


class TestPreparedAndNoDisk:
    @pytest.mark.parametrize("bring", [prepared, renamed])
    def test_waits_and_makes_nothing(self, home: Home, bring: object) -> None:
        prepared(home) if bring is prepared else renamed(home)
        root = home.root("anna")
        root.rename(root.with_name("unmounted"))
        group = Publisher(home.ledger.work, home.events)
        failed = group.resume(home.task("k"), home.mailboxes)
        assert isinstance(failed["anna"], MailboxVanishedError)
        assert not root.exists()
        assert home.deliveries("k") == {"anna": "prepared"}
        root.with_name("unmounted").rename(root)
        assert resume(home) == {}
        assert home.bodies("anna") == [BODY]

    def test_a_rename_that_fails_again_leaves_it_prepared(self, home: Home) -> None:
        prepared(home)
        home.disk.break_("rename", errno.EROFS)
        assert "read-only" in resume(home)["anna"]
        assert home.deliveries("k") == {"anna": "prepared"}
        home.disk.mend()
        assert resume(home) == {}

    def test_one_mailbox_without_its_disk_holds_up_no_other(self, home: Home) -> None:
        prepared(home, "anna", "bruno")
        shutil.rmtree(home.root("anna"))
        assert list(resume(home)) == ["anna"]
        assert home.bodies("bruno") == [BODY]
        assert home.deliveries("k") == {"anna": "prepared", "bruno": "delivered"}

    def test_a_maildir_that_was_moved_in_the_configuration_ends_where_it_began(
        self, home: Home, tmp_path: Path
    ) -> None:
        prepared(home)
        old = home.root("anna")
        home.people = ("carla",)
        home.reopen()
        assert resume(home) == {}
        assert len(list((old / "new").iterdir())) == 1
        assert not home.root("carla").exists()


class TestNotPrepared:
    @pytest.mark.parametrize(
        ("step", "done"),
        [
            (DeliveryStep.SYNC_TMP, False),
            (DeliveryStep.SYNC_TMP, True),
            (DeliveryStep.PREPARE, False),
        ],
    )
    async def test_what_is_left_in_tmp_is_discarded(
        self, home: Home, step: DeliveryStep, done: bool
    ) -> None:
        stopped(home, step, done=done)
        (draft,) = (home.root("anna") / "tmp").iterdir()
        draft.write_bytes(b"torn, and longer than the mail that comes in its place")
        stored = home.bucket.put("k", BODY)
        stored.etag = "e1"  # so that the leftover has the very name
        await home.deliver()
        assert home.bodies("anna") == [BODY]
        assert home.drafts("anna") == []


async def test_a_mail_settled_twice_is_there_once(home: Home) -> None:
    renamed(home)
    task = home.task("k")
    group = Publisher(home.ledger.work, home.events)
    assert group.resume(task, home.mailboxes) == {}
    assert group.resume(task, home.mailboxes) == {}
    await home.deliver()
    assert home.bodies("anna") == [BODY]
    assert home.bucket.gets == 0


async def test_another_tmp_than_the_draft_lay_in_proves_no_rename(home: Home) -> None:
    """A disk that goes between writing and renaming takes the draft along."""
    mail = written(home, "k", "anna")
    tmp = home.root("anna") / "tmp"
    tmp.rename(home.root("anna") / "unmounted")
    tmp.mkdir()
    [published] = Publisher(home.ledger.work, home.events).publish([mail])
    assert list(published.failed) == ["anna"]
    home.bucket.put("k", BODY).etag = "e1"
    for _ in range(2):
        await home.deliver()
    assert home.bodies("anna") == [BODY]
    assert home.state("k") == "delivered"
