"""Drafts of many mails for one mailbox: each by itself, though they share a turn."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.delivery.asking import Asking
from postamt_sync.delivery.draft_batch import AT_ONCE, SmallDraft, batches
from postamt_sync.delivery.mailbox_threads import LateError
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.marker import MailboxVanishedError
from postamt_sync.delivery.open_copy import WrittenCopy
from postamt_sync.delivery.pending_mail import FetchedMail, MailboxTarget, RoutedMail
from postamt_sync.errors import TryLaterError
from postamt_sync.mail.arrival import Evidence
from tests.delivery.home import LONG_AGO, Home
from tests.doubles.disk import FaultyDisk

BODY = b"Subject: x\r\n\r\nmail\r\nbare\n"


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def home(tmp_path: Path, disk: FaultyDisk) -> Iterator[Home]:
    home = Home(tmp_path, disk=disk)
    for name in home.people:
        home.mailboxes.ready(name)
    disk.calls.clear()
    yield home
    home.close()


def draft(
    home: Home, number: int, name: str = "anna", folder: str = "", tag: str = ""
) -> SmallDraft:
    home.announce(f"k{number}", name)
    mail = RoutedMail(
        task=home.task(f"k{number}"),
        stem=f"stem{number}",
        etag="e",
        size=len(BODY),
        last_modified=LONG_AGO,
        received_at=LONG_AGO + number,
        evidence=Evidence.RECEIPT,
        mailboxes=home.mailboxes,
        addressees=(MailboxTarget(name, tag),),
        folder=folder,
    )
    return SmallDraft(number, FetchedMail(mail, BODY, "sha"), mail.addressees[0])


def names(home: Home) -> list[str]:
    return sorted(path.name for path in (home.root("anna") / "tmp").iterdir())


def test_each_mailbox_has_its_own_and_no_turn_is_long(home: Home) -> None:
    drafts = [draft(home, n, ("anna", "bruno")[n % 2]) for n in range(2 * AT_ONCE + 2)]
    made = list(batches(drafts))
    assert [(b.mailbox, len(b.drafts)) for b in made] == [
        ("anna", AT_ONCE),
        ("anna", 1),
        ("bruno", AT_ONCE),
        ("bruno", 1),
    ]
    assert sorted(n for b in made for n in b.numbers) == list(range(2 * AT_ONCE + 2))


def test_after_a_reload_each_is_written_where_it_was_routed(home: Home) -> None:
    before = draft(home, 1)
    other = home.base / "moved" / "anna"
    home.mailboxes = Mailboxes([("anna", other)], home.ledger.work, home.disk, ("Junk",))
    home.mailboxes.ready("anna")
    made = batches([before, draft(home, 2)])
    written = {number: one for batch in made for number, one in batch.write(Asking()).items()}
    assert {n: one.maildir.root for n, one in written.items() if isinstance(one, WrittenCopy)} == {
        1: home.root("anna"),
        2: other,
    }
    assert names(home) == ["stem1"]
    assert [path.name for path in (other / "tmp").iterdir()] == ["stem2"]


def test_what_is_written_is_as_if_it_were_alone(home: Home, disk: FaultyDisk) -> None:
    [batch] = batches([draft(home, 1), draft(home, 2, folder="Junk"), draft(home, 3)])
    written = batch.write(Asking())
    assert list(written) == [1, 2, 3]
    for number, copy in written.items():
        assert isinstance(copy, WrittenCopy)
        path = home.root("anna") / "tmp" / f"stem{number}"
        assert path.read_bytes() == BODY
        assert path.stat().st_mtime == LONG_AGO + number
        assert path.stat().st_mode & 0o777 == 0o600
        assert copy.delivery.name == f"stem{number},S={len(BODY)},W={len(BODY) + 1}"
        assert copy.delivery.folder == ("Junk" if number == 2 else "")
        assert copy.delivery.tmp_inode == path.parent.stat().st_ino
    assert disk.open_files == []
    assert "sync" not in disk.names(), "all of it is synced at once, by others"


@pytest.mark.parametrize("call", ["create", "write", "set_times", "size", "close"])
def test_one_that_fails_leaves_nothing_and_harms_nobody(
    home: Home, disk: FaultyDisk, call: str
) -> None:
    disk.break_(call, errno.ENOSPC, below=home.root("anna") / "tmp" / "stem2", times=1)
    [batch] = batches([draft(home, n) for n in range(1, 4)])
    written = batch.write(Asking())
    assert [n for n, one in written.items() if isinstance(one, TryLaterError)] == [2]
    assert names(home) == ["stem1", "stem3"]
    assert disk.open_files == []


def test_what_a_crash_left_is_written_over(home: Home) -> None:
    (home.root("anna") / "tmp" / "stem1").write_bytes(b"half of another ma")
    [batch] = batches([draft(home, 1)])
    batch.write(Asking())
    assert (home.root("anna") / "tmp" / "stem1").read_bytes() == BODY


def test_a_link_in_its_place_is_never_followed(home: Home, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    (home.root("anna") / "tmp" / "stem1").symlink_to(precious)
    [batch] = batches([draft(home, 1)])
    batch.write(Asking())
    assert precious.read_bytes() == b"precious"
    assert not (home.root("anna") / "tmp" / "stem1").is_symlink()


def test_a_folder_that_cannot_be_made_holds_up_its_own_mail(home: Home, disk: FaultyDisk) -> None:
    disk.break_("make_directory", errno.EDQUOT, below=home.root("anna") / ".Junk")
    [batch] = batches(
        [draft(home, 1, folder="Junk"), draft(home, 2), draft(home, 3, folder="Junk")]
    )
    written = batch.write(Asking())
    assert [n for n, one in written.items() if isinstance(one, TryLaterError)] == [1, 3]
    assert names(home) == ["stem2"]


def test_a_root_that_is_away_fails_them_all_and_gets_nothing(home: Home) -> None:
    home.root("anna").rename(home.root("anna").with_name("away"))
    home.root("anna").mkdir()
    [batch] = batches([draft(home, 1), draft(home, 2)])
    with pytest.raises(MailboxVanishedError):
        batch.write(Asking())
    assert list(home.root("anna").iterdir()) == []


@pytest.mark.slow
def test_a_late_turn_is_waited_for_and_not_begun_again(home: Home, disk: FaultyDisk) -> None:
    reached, gate = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        gate.wait(60)

    disk.break_("write", 0, below=home.root("anna") / "tmp" / "stem2", first=hold)
    [batch] = batches([draft(home, n) for n in range(1, 4)])
    asking = Asking(hurried=True)
    with pytest.raises(LateError):
        batch.write(asking)
    assert reached.is_set()
    gate.set()
    written = batch.write(asking.patient())
    assert all(isinstance(one, WrittenCopy) for one in written.values())
    assert disk.names().count("create") == 3
    assert disk.open_files == []
