"""What someone may put in the place of a small file or a folder of a Maildir."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postamt_sync.delivery.disk import open_mail
from postamt_sync.delivery.maildir_scan import our_names
from postamt_sync.mail.arrival import Verdicts
from postamt_sync.regular_file import read_small
from tests.delivery.home import Home

BODY = b"Subject: x\r\n\r\nmail\r\n"
PLANTS = ("fifo", "link to a device", "link to itself", "directory", "endless")
SPAM = Verdicts(spam="FAIL")


def plant(path: Path, what: str) -> None:
    match what:
        case "fifo":
            os.mkfifo(path)
        case "link to a device":
            path.symlink_to("/dev/zero")
        case "link to itself":
            path.symlink_to(path)
        case "directory":
            path.mkdir()
        case "endless":
            path.touch()
            os.truncate(path, 1 << 40)


@pytest.mark.parametrize("what", PLANTS)
def test_nothing_but_a_bounded_regular_file_is_read(tmp_path: Path, what: str) -> None:
    plant(tmp_path / "file", what)
    with pytest.raises(OSError, match="file"):
        read_small(tmp_path / "file", 100)
    with pytest.raises(OSError, match="file"):
        open_mail(tmp_path / "file")


@pytest.mark.parametrize("what", PLANTS)
def test_a_list_of_dovecots_that_cannot_be_read_is_no_list_without_names(
    home: Home, what: str
) -> None:
    root = home.mailboxes.ready("anna").root
    (root / "cur/named-by-dovecot").touch()
    plant(root / "dovecot-uidlist", what)
    with pytest.raises(OSError, match="dovecot-uidlist"):
        list(our_names(root))


@pytest.mark.slow
@pytest.mark.parametrize("what", PLANTS)
@pytest.mark.parametrize("where", ["subscriptions", ".Junk", ".Junk/new", "tmp"])
async def test_delivery_to_others_goes_on(home: Home, where: str, what: str) -> None:
    root = home.mailboxes.ready("anna").root
    if where == "tmp":
        (root / "tmp").rmdir()
    (root / where).parent.mkdir(exist_ok=True)
    plant(root / where, what)
    home.bucket.put("k1", BODY)
    home.announce("k1", "anna", verdicts=SPAM)
    home.bucket.put("k2", BODY)
    home.announce("k2", "bruno")
    await home.deliver()
    assert home.bodies("bruno") == [BODY]
    if home.state("k1") != "delivered":
        assert home.problem("k1")
