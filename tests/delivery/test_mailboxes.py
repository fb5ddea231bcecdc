from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from postamt_sync.delivery.marker import MailboxVanishedError
from postamt_sync.errors import TryLaterError
from tests.delivery.home import Home
from tests.doubles.disk import FaultyDisk


def test_a_mailbox_is_made_the_first_time(home: Home) -> None:
    maildir = home.mailboxes.ready("anna")
    assert maildir.root == home.root("anna")
    assert (maildir.root / "tmp").is_dir()
    assert not home.root("bruno").exists()


@pytest.mark.parametrize("restarted", [False, True])
def test_one_that_was_there_is_never_made_again(home: Home, restarted: bool) -> None:
    home.mailboxes.ready("anna")
    shutil.rmtree(home.root("anna"))
    if restarted:
        home.reopen()
    with pytest.raises(MailboxVanishedError):
        home.mailboxes.ready("anna")
    assert not home.root("anna").exists()


def test_one_that_comes_back_is_ready_at_once(home: Home) -> None:
    root = home.mailboxes.ready("anna").root
    root.rename(root.with_name("unmounted"))
    with pytest.raises(MailboxVanishedError):
        home.mailboxes.ready("anna")
    root.with_name("unmounted").rename(root)
    home.mailboxes.ready("anna")


def test_one_that_could_not_be_made_is_not_remembered(tmp_path: Path) -> None:
    disk = FaultyDisk()
    home = Home(tmp_path, disk=disk)
    disk.break_("sync_directory", errno.EIO, below=home.root("anna"))
    with pytest.raises(TryLaterError):
        home.mailboxes.ready("anna")
    disk.mend()
    shutil.rmtree(home.root("anna"))
    home.mailboxes.ready("anna")
    home.close()


def test_a_moved_mailbox_is_still_found_where_it_was(home: Home) -> None:
    assert home.mailboxes.at(str(home.root("anna"))).root == home.root("anna")
    assert "anna" in home.mailboxes
    assert "carla" not in home.mailboxes
    assert home.mailboxes.names == ("anna", "bruno")
