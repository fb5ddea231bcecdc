"""A real Dovecot sees the folders that we make as its own."""

from __future__ import annotations

from pathlib import Path

from imapclient import IMAPClient

from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.maildir import Maildir
from tests.dovecot import mail_client, needs_dovecot, serving

pytestmark = needs_dovecot

NEW = "Post/B\u00fccher & \u00c4pfel"


def subscribed(client: IMAPClient) -> list[str]:
    return [name for _, _, name in client.list_sub_folders()]


def made(root: Path) -> Maildir:
    maildir = Maildir(root, Disk())
    maildir.create()
    return maildir


def test_a_folder_of_ours_is_subscribed_once_and_stays_as_its_owner_wishes(tmp_path: Path) -> None:
    maildir = made(tmp_path / "Maildir")
    maildir.open_folder(NEW)
    with serving(anna=maildir.root) as imap, mail_client(imap, "anna") as client:
        assert subscribed(client).count(NEW) == 1
        assert NEW in [name for _, _, name in client.list_folders()]
        client.unsubscribe_folder(NEW)
        Maildir(maildir.root, Disk()).open_folder(NEW)
        assert NEW not in subscribed(client)


def test_we_write_the_list_as_dovecot_does(tmp_path: Path) -> None:
    ours, theirs = made(tmp_path / "ours"), made(tmp_path / "theirs")
    with serving(anna=theirs.root) as imap, mail_client(imap, "anna") as client:
        client.create_folder("First")
        client.subscribe_folder("First")
        (ours.root / "subscriptions").write_bytes((theirs.root / "subscriptions").read_bytes())
        client.create_folder(NEW)
        client.subscribe_folder(NEW)
        ours.open_folder(NEW)
        written = (theirs.root / "subscriptions").read_bytes()
        assert (ours.root / "subscriptions").read_bytes() == written
        made_by_us = {path.name for path in ours.root.glob(".*/")}
        assert made_by_us <= {path.name for path in theirs.root.glob(".*/")}


def test_a_folder_of_ours_joins_dovecots_list(tmp_path: Path) -> None:
    maildir = made(tmp_path / "Maildir")
    with serving(anna=maildir.root) as imap, mail_client(imap, "anna") as client:
        client.create_folder("First")
        client.subscribe_folder("First")
        maildir.open_folder(NEW)
        assert subscribed(client).count(NEW) == 1
        client.unsubscribe_folder("First")
        assert NEW in subscribed(client)
