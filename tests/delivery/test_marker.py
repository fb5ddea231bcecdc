"""Ledger and Maildirs of different moments: what the marker of a root tells of them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.marker import MARKER, MailboxVanishedError
from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.ledger.incidents import Cause
from tests.delivery.home import Home

BODY = b"Subject: x\r\n\r\nmail %d\r\n"


async def receive(home: Home, *numbers: int, person: str = "anna") -> None:
    """Let a mail come and be delivered; each makes a generation of its own."""
    for number in numbers:
        home.bucket.put(f"k{number}", BODY % number)
        home.announce(f"k{number}", person)
        await home.deliver()


def marker(home: Home, name: str = "anna") -> dict[str, object]:
    said: dict[str, object] = json.loads((home.root(name) / MARKER).read_bytes())
    return said


def numbers(home: Home, name: str = "anna") -> list[int]:
    return sorted(int(body.split()[-1]) for body in home.bodies(name))


def keep(home: Home) -> Path:
    """Take a backup of anna's Maildir, and return where it lies."""
    kept = home.base / "backup"
    shutil.copytree(home.root("anna"), kept)
    return kept


def bring_back(home: Home, kept: Path) -> None:
    shutil.rmtree(home.root("anna"))
    shutil.copytree(kept, home.root("anna"))
    home.reopen()


def unmount(home: Home) -> Path:
    """Leave an empty Maildir in the place of anna's, as below a mount point; return hers."""
    away = home.base / "away"
    home.root("anna").rename(away)
    for part in ("tmp", "new", "cur"):
        (home.root("anna") / part).mkdir(parents=True)
    return away


def mount(home: Home, away: Path) -> None:
    shutil.rmtree(home.root("anna"))
    away.rename(home.root("anna"))


class TestTheMarker:
    async def test_counts_the_groups(self, home: Home) -> None:
        await receive(home, 1)
        first = marker(home)
        await receive(home, 2, 3)
        assert marker(home) == {"id": first["id"], "generation": 3}
        assert (home.root("anna") / MARKER).stat().st_mode & 0o777 == 0o600

    async def test_is_each_root_s_own(self, home: Home) -> None:
        await receive(home, 1)
        await receive(home, 2, person="bruno")
        assert marker(home)["id"] != marker(home, "bruno")["id"]

    async def test_costs_one_write_a_group(self, home: Home) -> None:
        for number in range(20):
            home.bucket.put(f"k{number}", BODY % number)
            home.announce(f"k{number}", "anna")
        await home.deliver()
        assert marker(home)["generation"] == 1

    async def test_is_durable_before_the_mail_counts_as_delivered(self, home: Home) -> None:
        await receive(home, 1)
        home.disk.break_("sync_directory", 5, below=home.root("anna") / MARKER)
        home.disk.break_("rename", 5, below=home.root("anna") / f"{MARKER}.new")
        await receive(home, 2)
        assert home.deliveries("k2") == {"anna": "prepared"}
        home.disk.mend()
        await home.deliver()
        assert numbers(home) == [1, 2]
        assert home.state("k2") == "delivered"

    @pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"\xff", b'{"id": "x", "generation": 1}'])
    async def test_that_is_damaged_is_this_mailbox_s_trouble(self, home: Home, text: bytes) -> None:
        await receive(home, 1)
        (home.root("anna") / MARKER).write_bytes(text)
        await receive(home, 2)
        await receive(home, 3, person="bruno")
        assert (numbers(home), numbers(home, "bruno")) == ([1], [3])
        assert "is damaged" in home.problem("k2")
        (home.root("anna") / MARKER).unlink()
        await home.deliver()
        assert numbers(home) == [1, 2]

    @pytest.mark.parametrize("what", ["fifo", "link", "directory", "endless"])
    async def test_that_is_no_file_is_this_mailbox_s_trouble(self, home: Home, what: str) -> None:
        await receive(home, 1)
        plant(home.root("anna") / MARKER, what)
        await receive(home, 2)
        await receive(home, 3, person="bruno")
        assert (numbers(home), numbers(home, "bruno")) == ([1], [3])


def plant(path: Path, what: str) -> None:
    """Put something else in the place of a small file."""
    path.unlink(missing_ok=True)
    match what:
        case "fifo":
            os.mkfifo(path)
        case "link":
            path.symlink_to("/dev/zero")
        case "directory":
            path.mkdir()
        case "endless":
            path.touch()
            os.truncate(path, 1 << 40)


class TestARootBehindTheLedger:
    async def test_gets_what_it_lost_whatever_its_age(self, home: Home) -> None:
        await receive(home, 1)
        kept = keep(home)
        await receive(home, 2, 3)
        bring_back(home, kept)
        home.mailboxes.ready("anna")
        await home.deliver()
        assert numbers(home) == [1, 2, 3]
        assert [home.state(f"k{n}") for n in (1, 2, 3)] == ["delivered"] * 3

    async def test_keeps_what_a_client_has_moved(self, home: Home) -> None:
        kept = None
        await receive(home, 1)
        kept = keep(home)
        await receive(home, 2)
        (mail,) = (path for path in home.mails("anna") if path.read_bytes() == BODY % 2)
        (kept / ".Archive/cur").mkdir(parents=True)
        shutil.copy(mail, kept / f".Archive/cur/{mail.name}:2,S")
        bring_back(home, kept)
        home.mailboxes.ready("anna")
        await home.deliver()
        assert numbers(home) == [1, 2]

    async def test_is_not_given_what_was_deleted_before(self, home: Home) -> None:
        await receive(home, 1, 2)
        next(path for path in home.mails("anna") if path.read_bytes() == BODY % 1).unlink()
        kept = keep(home)
        await receive(home, 3)
        bring_back(home, kept)
        home.mailboxes.ready("anna")
        await home.deliver()
        assert numbers(home) == [2, 3]

    async def test_is_made_up_for_once(self, home: Home) -> None:
        await receive(home, 1)
        kept = keep(home)
        await receive(home, 2)
        bring_back(home, kept)
        await home.deliver()
        home.mailboxes.ready("anna")
        await home.deliver()
        for path in home.mails("anna"):
            path.unlink()
        home.reopen()
        home.mailboxes.ready("anna")
        await home.deliver()
        assert numbers(home) == []

    async def test_a_person_is_told(self, home: Home) -> None:
        await receive(home, 1)
        kept = keep(home)
        await receive(home, 2, 3)
        bring_back(home, kept)
        home.mailboxes.ready("anna")
        [told] = home.ledger.incidents.to_tell(Cause.LOST_FILES, time.time() + 1e6)
        assert told.detail.startswith("anna: 2 mails lost from ")

    async def test_while_the_daemon_runs_too(self, home: Home) -> None:
        await receive(home, 1)
        kept = keep(home)
        await receive(home, 2)
        shutil.rmtree(home.root("anna"))
        shutil.copytree(kept, home.root("anna"))
        await receive(home, 3)
        await home.deliver()
        assert numbers(home) == [1, 2, 3]

    async def test_that_cannot_be_read_waits_and_is_made_up_for_later(self, home: Home) -> None:
        await receive(home, 1)
        kept = keep(home)
        await receive(home, 2)
        bring_back(home, kept)
        plant(home.root("anna") / "dovecot-uidlist", "fifo")
        (home.root("anna") / "cur/renamed-by-dovecot").touch()
        with pytest.raises(TryLaterError):
            home.mailboxes.ready("anna")
        (home.root("anna") / "dovecot-uidlist").unlink()
        home.mailboxes.ready("anna")
        await home.deliver()
        assert set(numbers_of_ours(home)) == {1, 2}


def numbers_of_ours(home: Home) -> list[int]:
    return [int(body.split()[-1]) for body in home.bodies("anna") if body]


async def test_of_the_same_moment_nothing_is_done_whatever_clients_deleted(home: Home) -> None:
    await receive(home, 1, 2)
    for path in home.mails("anna"):
        path.unlink()
    home.reopen()
    home.mailboxes.ready("anna")
    await home.deliver()
    assert numbers(home) == []
    assert home.state("k1") == "delivered"


async def test_a_ledger_behind_takes_in_what_the_root_has_more(home: Home) -> None:
    await receive(home, 1)
    home.bucket.put("k2", BODY % 2)
    home.announce("k2", "anna")
    older = home.base / "older"
    home.ledger.close()
    shutil.copytree(home.base / "state", older)
    home.reopen()
    await home.deliver()
    home.ledger.close()
    shutil.rmtree(home.base / "state")
    older.rename(home.base / "state")
    home.reopen()
    await home.deliver()
    assert numbers(home) == [1, 2]
    assert home.state("k2") == "delivered"
    assert marker(home)["generation"] == home.ledger.work.roots.find(home.root("anna")).generation  # type: ignore[union-attr]


class TestAVanishedMailbox:
    """A root that was there once, and that bears neither our marker nor our mail."""

    async def test_gets_nothing_until_it_is_back(self, home: Home) -> None:
        await receive(home, 1)
        away = unmount(home)
        await receive(home, 2)
        assert numbers(home) == []
        assert home.drafts("anna") == []
        assert "postamt-sync mailbox accept anna" in home.problem("k2")
        mount(home, away)
        await home.deliver()
        assert numbers(home) == [1, 2]

    async def test_that_is_empty_is_known_all_the_same(self, home: Home) -> None:
        home.mailboxes.ready("anna")
        unmount(home)
        home.reopen()
        with pytest.raises(MailboxVanishedError):
            home.mailboxes.ready("anna")

    async def test_is_the_one_of_a_person_who_accepts_it(self, home: Home) -> None:
        await receive(home, 1)
        unmount(home)
        await receive(home, 2)
        home.mailboxes.accept("anna")
        await home.deliver()
        assert numbers(home) == [2]
        assert home.state("k1") == "delivered"

    async def test_that_is_incomplete_cannot_be_accepted(self, home: Home) -> None:
        await receive(home, 1)
        unmount(home)
        (home.root("anna") / "new").rmdir()
        with pytest.raises(MailboxVanishedError):
            home.mailboxes.accept("anna")

    async def test_may_be_another_mailbox_s(self, home: Home) -> None:
        await receive(home, 1)
        await receive(home, 2, person="bruno")
        shutil.rmtree(home.root("anna"))
        shutil.copytree(home.root("bruno"), home.root("anna"))
        await receive(home, 3)
        assert numbers(home) == [2]
        assert "another mailbox's marker" in home.problem("k3")
        home.mailboxes.accept("anna")
        await home.deliver()
        assert numbers(home) == [2, 3]

    async def test_comes_back_after_another_was_accepted(self, home: Home) -> None:
        """What went into the one in between is missing in the one that is back."""
        await receive(home, 1)
        away = unmount(home)
        home.mailboxes.accept("anna")
        await receive(home, 2)
        mount(home, away)
        home.mailboxes.ready("anna")
        await home.deliver()
        assert numbers(home) == [1, 2]


def forget_markers(home: Home) -> None:
    """Be an earlier version's ledger and Maildirs, which knew no markers."""
    for path in home.base.glob(f"mail/*/{MARKER}"):
        path.unlink()
    with home.ledger.store.writing() as db:
        db.execute("UPDATE maildirs SET marker = '', generation = 0")
        db.execute("UPDATE deliveries SET generation = 0")
    home.reopen()


class TestTheFirstRunAfterTheUpgrade:
    async def test_adopts_a_root_with_our_mail(self, home: Home) -> None:
        await receive(home, 1)
        forget_markers(home)
        await receive(home, 2)
        assert numbers(home) == [1, 2]
        assert marker(home)["generation"] == 1

    async def test_adopts_one_that_never_had_any(self, home: Home) -> None:
        home.mailboxes.ready("anna")
        forget_markers(home)
        await receive(home, 1)
        assert numbers(home) == [1]

    async def test_adopts_none_that_should_have_some(self, home: Home) -> None:
        await receive(home, 1)
        forget_markers(home)
        unmount(home)
        await receive(home, 2)
        assert numbers(home) == []


async def test_an_unmount_in_mid_delivery_writes_nothing_under_the_mount(home: Home) -> None:
    await receive(home, 1)
    away: list[Path] = []

    def leave() -> None:
        away.append(unmount(home))

    home.disk.break_("rename", 0, below=home.root("anna") / "tmp", times=1, first=leave)
    await receive(home, 2)
    await receive(home, 3)
    here = {path.name for path in home.root("anna").rglob("*") if path.is_file()}
    assert here == set(), "the descriptor's directory got it, or nobody"
    mount(home, away[0])
    await home.deliver()
    assert numbers(home) == [1, 2, 3]


@pytest.mark.parametrize("call", ["create", "write", "sync", "close", "sync_directory"])
async def test_an_unmount_at_any_call_loses_nothing(home: Home, call: str) -> None:
    await receive(home, 1)
    away: list[Path] = []
    below = home.root("anna")
    home.disk.break_(call, 0, below=below, times=1, first=lambda: away.append(unmount(home)))
    await receive(home, 2)
    assert [p for p in home.root("anna").rglob("*") if p.is_file()] == []
    mount(home, away[0])
    await home.deliver()
    assert numbers(home) == [1, 2]


def test_the_disk_s_calls_stay_below_the_directory_that_is_held(tmp_path: Path) -> None:
    here, away, disk = tmp_path / "here", tmp_path / "away", Disk()
    for part in ("tmp", "new"):
        (here / part).mkdir(parents=True)
    calls: list[Callable[[], object]] = []
    with disk.held(here) as at:
        here.rename(away)
        calls = [
            lambda: disk.close(disk.create(here / "tmp/a", at)),
            lambda: disk.rename(here / "tmp/a", here / "new/a", at),
            lambda: disk.sync_directory(here / "new", at),
            lambda: disk.append_line(here / "subscriptions", "Junk", at),
            lambda: disk.make_directory(here / ".Junk", at),
            lambda: disk.unlink(here / "subscriptions", at),
        ]
        for call in calls:
            call()
    assert not here.exists()
    assert sorted(str(p.relative_to(away)) for p in away.rglob("*")) == [
        ".Junk",
        "new",
        "new/a",
        "tmp",
    ]


def test_what_is_refused_says_so(home: Home) -> None:
    with pytest.raises(PostamtError):
        home.mailboxes.accept("anna")
