"""The protocol's order, and what each failure in the middle of it leaves."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.delivery.draft_writer import DraftWriter
from postamt_sync.delivery.filename import make_stem
from postamt_sync.delivery.filesystem_sync import MANY
from postamt_sync.delivery.pending_mail import (
    DeliveryStep,
    FetchedMail,
    MailboxTarget,
    RoutedMail,
    WrittenMail,
    no_observer,
)
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.errors import TryLaterError
from postamt_sync.mail.arrival import Evidence
from tests.delivery.home import LONG_AGO, Home
from tests.doubles.disk import Call, FaultyDisk

BODY = b"Subject: x\r\n\r\nmail\r\n"
SHA = hashlib.sha256(BODY).hexdigest()
COMMITS = ("prepare", "settle")


class WatchedWork:
    """The courier's side of the ledger; its commits are noted among the disk's calls."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.fail: dict[str, str] = {}
        """A commit's name to when it fails: "before" or "after" it became durable."""

    def __getattr__(self, name: str) -> Any:
        real: Callable[..., Any] = getattr(self._home.ledger.work, name)
        return self._commit(name, real) if name in COMMITS else real

    def _commit(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            if self.fail.get(name) == "before":
                raise TryLaterError("The ledger cannot be used.")
            result = real(*args)
            self._home.disk.calls.append(Call(name, Path()))
            if self.fail.get(name) == "after":
                raise TryLaterError("The ledger cannot be used.")
            return result

        return call


@pytest.fixture
def disk(home: Home) -> FaultyDisk:
    for name in home.people:
        home.mailboxes.ready(name)
    home.disk.calls.clear()
    return home.disk


@pytest.fixture
def work(home: Home) -> WatchedWork:
    return WatchedWork(home)


@pytest.fixture
def group(home: Home, work: WatchedWork) -> Publisher:
    return Publisher(work, home.events)


def routed(home: Home, key: str, *people: str, folder: str = "") -> RoutedMail:
    home.announce(key, *people)
    return RoutedMail(
        task=home.task(key),
        stem=make_stem("mail", key, "e1", LONG_AGO),
        etag="e1",
        size=len(BODY),
        last_modified=LONG_AGO,
        received_at=LONG_AGO,
        evidence=Evidence.RECEIPT,
        mailboxes=home.mailboxes,
        addressees=tuple(MailboxTarget(name) for name in people),
        folder=folder,
    )


def written(home: Home, key: str, *people: str, folder: str = "") -> WrittenMail:
    """Write one mail's copies, as the fetcher does with a large one."""
    drafts = DraftWriter(routed(home, key, *people, folder=folder), no_observer)
    drafts.open(BODY[:5])
    drafts.write([BODY[5:]])
    return drafts.finish(SHA)


def small(home: Home, key: str, *people: str) -> FetchedMail:
    """Return one mail as the fetcher hands over a small one."""
    return FetchedMail(routed(home, key, *people), BODY, SHA)


def shape(home: Home, calls: list[Call]) -> list[str]:
    """Name calls by what they touch: `sync_directory anna/tmp`; files by their directory."""
    mail = home.base / "mail"
    named = []
    for call in calls:
        directory = call.name in {"sync_directory", "sync_whole", "watch"}
        path = call.path if directory else call.path.parent
        named.append(call.name if call.name in COMMITS else f"{call.name} {path.relative_to(mail)}")
    return named


MARKED = ("create anna", "write anna", "sync anna", "close anna", "rename anna")
"""One write of the marker of a root, before the root is synced."""


class TestOrder:
    def test_of_one_mail(self, home: Home, group: Publisher, disk: FaultyDisk) -> None:
        [published] = group.publish([written(home, "k", "anna")])
        assert shape(home, disk.calls) == [
            "create anna/tmp",
            "write anna/tmp",
            "write anna/tmp",
            "set_times anna/tmp",
            "sync anna/tmp",
            "size anna/tmp",
            "close anna/tmp",
            "sync_directory anna/tmp",
            "prepare",
            "rename anna/tmp",
            "sync_directory anna/new",
            "sync_directory anna/tmp",
            *MARKED,
            "sync_directory anna",
            "settle",
        ]
        assert [copy.mailbox for copy in published.delivered] == ["anna"]
        assert published.failed == {}
        assert home.bodies("anna") == [BODY]
        assert home.mails("anna")[0].stat().st_mtime == LONG_AGO
        assert home.state("k") == "delivered"

    def test_of_a_group_that_shares_its_syncs_and_commits(
        self, home: Home, group: Publisher, disk: FaultyDisk
    ) -> None:
        mails = [written(home, f"k{i}", "anna", "bruno") for i in range(5)]
        mails += [written(home, "spam", "anna", folder="Junk")]
        disk.calls.clear()
        group.publish(mails)
        calls = shape(home, disk.calls)
        assert calls[:3] == ["sync_directory anna/tmp", "sync_directory bruno/tmp", "prepare"]
        assert calls[3:14] == [*["rename anna/tmp"] * 6, *["rename bruno/tmp"] * 5]
        assert calls[14:] == [
            "sync_directory anna/new",
            "sync_directory anna/tmp",
            "sync_directory bruno/new",
            "sync_directory bruno/tmp",
            "sync_directory anna/.Junk/new",
            "sync_directory anna/tmp",
            *MARKED,
            "sync_directory anna",
            *(call.replace("anna", "bruno") for call in MARKED),
            "sync_directory bruno",
            "settle",
        ]

    def test_the_witness_sees_every_step_in_order(self, home: Home, work: WatchedWork) -> None:
        seen: list[tuple[DeliveryStep, bool]] = []
        group = Publisher(work, home.events, lambda step, done: seen.append((step, done)))
        group.publish([small(home, "k", "anna")])
        assert seen == [(step, done) for step in DeliveryStep for done in (False, True)]

    def test_of_a_group_of_small_mails_the_files_come_first(
        self, home: Home, group: Publisher, disk: FaultyDisk
    ) -> None:
        mails = [small(home, "a", "anna"), written(home, "b", "anna"), small(home, "c", "anna")]
        disk.calls.clear()
        published = group.publish(mails)
        assert [one.mail.task.key for one in published] == ["a", "b", "c"]
        names = [call.split()[0] for call in shape(home, disk.calls)]
        one = ["set_times", "sync", "size", "close"]
        assert names[:12] == [*["create", "write"] * 2, *one * 2]
        assert names.count("prepare") == names.count("settle") == 1
        assert names.count("sync_directory") == 3 + 1, "the last is the marker's"


class TestManyAtOnce:
    """A file system that can be synced as a whole is, once for all files and once for all names."""

    @pytest.fixture(autouse=True)
    def _whole(self, disk: FaultyDisk) -> None:
        disk.whole_from = MANY

    @pytest.fixture
    def many(self, home: Home, disk: FaultyDisk) -> list[FetchedMail | WrittenMail]:
        mails: list[FetchedMail | WrittenMail] = [small(home, f"k{i}", "anna") for i in range(MANY)]
        mails.append(small(home, "both", "anna", "bruno"))
        disk.calls.clear()
        return mails

    def test_the_order(
        self,
        home: Home,
        group: Publisher,
        disk: FaultyDisk,
        many: list[FetchedMail | WrittenMail],
    ) -> None:
        published = group.publish(many)
        assert all(len(one.delivered) == 1 for one in published[:-1])
        calls = shape(home, disk.calls)
        anna = [call for call in calls if "anna" in call or call in COMMITS]
        count = MANY + 1
        assert anna == [
            "watch anna",
            *["create anna/tmp", "write anna/tmp"] * count,
            *["set_times anna/tmp", "size anna/tmp", "close anna/tmp"] * count,
            "sync_whole anna",
            "prepare",
            *["rename anna/tmp"] * count,
            "sync_whole anna",
            *MARKED,
            "sync_directory anna",
            "settle",
        ]
        bruno = [call for call in calls if "bruno" in call]
        assert bruno.count("sync bruno/tmp") == 1, "one alone is synced by itself"
        assert "sync_directory bruno/tmp" in bruno[: bruno.index("rename bruno/tmp")]
        assert "sync_whole bruno" not in bruno
        assert len(home.mails("anna")) == count

    def test_one_less_is_synced_file_by_file(
        self, home: Home, group: Publisher, disk: FaultyDisk
    ) -> None:
        group.publish([small(home, f"k{i}", "anna") for i in range(MANY - 1)])
        assert "sync_whole" not in disk.names()
        assert disk.names().count("sync") == MANY - 1 + 1, "the last is the marker's"

    @pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
    def test_where_the_sync_fails_all_are_discarded_and_fetched_again(
        self,
        home: Home,
        group: Publisher,
        disk: FaultyDisk,
        many: list[FetchedMail | WrittenMail],
        error: int,
    ) -> None:
        disk.break_("sync_whole", error, below=home.root("anna"))
        published = group.publish(many)
        assert all(list(one.failed) == ["anna"] for one in published)
        assert [copy.mailbox for copy in published[-1].delivered] == ["bruno"]
        assert home.drafts("anna") == home.mails("anna") == []
        assert disk.open_files == []
        assert disk.names().count("sync_whole") == 1, "a second one would not be told of it"
        assert "rename" not in {
            call.split()[0] for call in shape(home, disk.calls) if "anna" in call
        }
        assert home.deliveries("k0") == {"anna": "waiting"}

    def test_where_the_second_sync_fails_they_are_finished_later_and_once(
        self, home: Home, group: Publisher, disk: FaultyDisk, many: list[FetchedMail | WrittenMail]
    ) -> None:
        disk.break_("sync_whole", errno.EIO, below=home.root("anna"), times=1)
        disk.faults[0].times, first = 0, disk.faults[0]
        disk.break_("rename", 0, times=1, first=lambda: setattr(first, "times", 1))
        published = group.publish(many)
        assert all(list(one.failed) == ["anna"] for one in published)
        assert home.deliveries("k0") == {"anna": "prepared"}
        for one in published:
            key = one.mail.task.key
            assert group.resume(home.task(key), home.mailboxes) == {}
            assert home.state(key) == "delivered"
        assert len(home.mails("anna")) == len(many)

    @pytest.mark.parametrize("call", ["set_times", "close", "size"])
    def test_one_file_that_fails_leaves_nothing_open(
        self,
        home: Home,
        group: Publisher,
        disk: FaultyDisk,
        many: list[FetchedMail | WrittenMail],
        call: str,
    ) -> None:
        disk.break_(call, errno.EIO, below=home.root("anna") / "tmp", times=1)
        published = group.publish(many)
        failed = [one for one in published if one.failed]
        assert len(failed) == 1
        assert disk.open_files == []
        assert len(home.mails("anna")) == len(many) - len(failed)


def test_each_mailbox_has_a_file_of_its_own(home: Home, group: Publisher) -> None:
    group.publish([written(home, "k", "anna", "bruno")])
    anna, bruno = home.mails("anna")[0].stat(), home.mails("bruno")[0].stat()
    assert anna.st_ino != bruno.st_ino
    assert anna.st_nlink == bruno.st_nlink == 1


class TestOneMailboxThatFails:
    @pytest.mark.parametrize(
        ("call", "error"),
        [
            ("write", errno.ENOSPC),
            ("set_times", errno.EPERM),
            ("sync", errno.EIO),
            ("close", errno.EIO),
            ("sync_directory", errno.EIO),
            ("rename", errno.EROFS),
        ],
    )
    def test_holds_up_no_other(
        self, home: Home, group: Publisher, disk: FaultyDisk, call: str, error: int
    ) -> None:
        disk.break_(call, error, below=home.root("anna"))
        [published] = group.publish([written(home, "k", "anna", "bruno")])
        assert [copy.mailbox for copy in published.delivered] == ["bruno"]
        assert list(published.failed) == ["anna"]
        assert home.bodies("bruno") == [BODY]
        assert home.mails("anna") == []
        assert home.state("k") == "waiting"
        prepared = "prepared" if call == "rename" else "waiting"
        assert home.deliveries("k") == {"anna": prepared, "bruno": "delivered"}
        assert len(home.drafts("anna")) == (1 if call == "rename" else 0)

    def test_no_file_is_synced_again_after_a_sync_failed(
        self, home: Home, group: Publisher, disk: FaultyDisk
    ) -> None:
        disk.break_("sync", errno.EIO, times=1)
        group.publish([written(home, "k", "anna")])
        assert disk.names().count("sync") == 1
        assert home.drafts("anna") == []
        assert home.mails("anna") == []

    def test_of_several_folders_of_a_mailbox_one_that_fails_holds_up_no_other(
        self, home: Home, group: Publisher, disk: FaultyDisk
    ) -> None:
        mails = [
            written(home, "spam", "anna", folder="Junk"),
            written(home, "ham", "anna"),
        ]
        disk.break_("sync_directory", errno.EIO, below=home.root("anna") / ".Junk")
        group.publish(mails)
        assert (home.state("spam"), home.state("ham")) == ("waiting", "delivered")
        disk.mend()
        assert group.resume(home.task("spam"), home.mailboxes) == {}
        assert home.state("spam") == "delivered"
        assert len(home.mails("anna")) == 2


class TestALedgerThatFails:
    def test_prepare_leaves_drafts_and_publishes_nothing(
        self, home: Home, group: Publisher, work: WatchedWork, disk: FaultyDisk
    ) -> None:
        work.fail["prepare"] = "before"
        [published] = group.publish([written(home, "k", "anna", "bruno")])
        assert sorted(published.failed) == ["anna", "bruno"]
        assert published.delivered == ()
        assert "rename" not in disk.names()
        assert len(home.drafts("anna")) == len(home.drafts("bruno")) == 1
        assert home.deliveries("k") == {}

    def test_prepare_that_was_durable_all_the_same_is_resumed(
        self, home: Home, group: Publisher, work: WatchedWork
    ) -> None:
        work.fail["prepare"] = "after"
        group.publish([written(home, "k", "anna")])
        work.fail.clear()
        home.reopen()
        assert group.resume(home.task("k"), home.mailboxes) == {}
        assert home.bodies("anna") == [BODY]
        assert home.drafts("anna") == []
        assert home.state("k") == "delivered"

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_settle_is_made_up_for(
        self, home: Home, group: Publisher, work: WatchedWork, when: str
    ) -> None:
        work.fail["settle"] = when
        [published] = group.publish([written(home, "k", "anna", "bruno")])
        assert sorted(published.failed) == ["anna", "bruno"]
        assert len(home.mails("anna")) == len(home.mails("bruno")) == 1
        work.fail.clear()
        home.reopen()
        if when == "before":
            assert group.resume(home.task("k"), home.mailboxes) == {}
        assert home.state("k") == "delivered"
        assert home.bodies("anna") == home.bodies("bruno") == [BODY]


def test_nothing_to_publish_is_fine(group: Publisher) -> None:
    group.publish([])
