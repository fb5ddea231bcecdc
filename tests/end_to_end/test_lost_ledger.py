"""The ledger is lost while a real Dovecot's clients have been at work on what was delivered."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from imapclient import IMAPClient

from postamt_sync.delivery.pending_mail import DeliveryStep
from postamt_sync.demo.dovecot import PrivateDovecot
from tests.doubles.s3 import S3Double
from tests.dovecot import mail_client, needs_dovecot, serving
from tests.end_to_end.home import ANNA, Home
from tests.end_to_end.letters import letter, letter_to_both
from tests.faults.forked import fork_to_be_killed
from tests.support.campaign import spread

pytestmark = needs_dovecot

SINCE = 1_700_000_000.0
ARCHIVE = "Post/B\u00fccher"


def put(s3: S3Double, *names: str, since: float = 0.0) -> None:
    """Let letters to Anna come, each a second after the one before."""
    for number, name in enumerate(names):
        one = letter(name)
        s3.put(one.key, one.body, last_modified=SINCE + since + number)


@contextmanager
def client_of(imap: PrivateDovecot, login: str = "anna") -> Iterator[IMAPClient]:
    with mail_client(imap, login) as client:
        client.select_folder("INBOX")
        yield client


def uid(client: IMAPClient, subject: str) -> int:
    (found,) = client.search(["SUBJECT", subject])
    return int(found)


def seen(imap: PrivateDovecot, login: str = "anna") -> dict[str, list[str]]:
    """Return what the client sees in each folder, by subject, without alerts."""
    found: dict[str, list[str]] = {}
    with mail_client(imap, login) as client:
        for flags, _, name in client.list_folders():
            if b"\\Noselect" in flags or b"\\NonExistent" in flags:
                continue
            client.select_folder(name, readonly=True)
            mails = client.fetch(client.search(), ["ENVELOPE"])
            subjects = (m[b"ENVELOPE"].subject.decode() for m in mails.values())
            if theirs := sorted(s for s in subjects if not s.startswith("postamt-sync: ")):
                found[name] = theirs
    return found


def live_with_it(client: IMAPClient) -> None:
    """Move, flag, copy, expunge, and delete a folder with what is in it."""
    client.create_folder(ARCHIVE)
    client.create_folder("Short lived")
    client.move(uid(client, "moved"), ARCHIVE)
    client.add_flags(uid(client, "flagged"), [b"\\Seen", b"\\Flagged", b"$Invoice"])
    client.copy(uid(client, "copied"), ARCHIVE)
    client.move(uid(client, "buried"), "Short lived")
    client.delete_folder("Short lived")
    client.delete_messages(uid(client, "expunged"))
    client.expunge()


@pytest.mark.parametrize("verb", ["sync", "run"])
@pytest.mark.parametrize("copy_is_lost", [True, False])
def test_what_clients_did_stays_done(
    home: Home, s3: S3Double, verb: str, copy_is_lost: bool
) -> None:
    names = ("moved", "flagged", "copied", "buried", "expunged", "last")
    put(s3, *names[:3])
    assert home.sync()[0] == 0  # and here the copy is made
    put(s3, *names[3:], since=3)
    assert home.sync()[0] == 0
    with serving(**home.maildirs) as imap:
        with client_of(imap) as client:
            live_with_it(client)
        before = seen(imap)
        if copy_is_lost:
            shutil.rmtree(home.state)
        else:
            (home.state / "ledger.sqlite3").unlink()
        put(s3, "new", since=100)
        if verb == "sync":
            assert home.sync()[0] == 0
        else:
            daemon = home.start()
            daemon.until("delivered")
            daemon.until("looked", source="reconcile")
            assert daemon.stop() == 0
        # What came after the copy was made and has no name may never have been delivered.
        again = [] if copy_is_lost else ["buried", "expunged"]
        before["INBOX"] = sorted([*before["INBOX"], "new", *again])
        assert seen(imap) == before
        with client_of(imap) as client:
            flags = set(client.get_flags(uid(client, "flagged"))[uid(client, "flagged")])
            assert {b"\\Seen", b"\\Flagged", b"$Invoice"} <= flags
        assert "Error" not in imap.log.read_text()
    assert home.states() == ({"delivered": 5, "absent": 2} if copy_is_lost else {"delivered": 7})
    assert home.sync()[0] == 0
    assert sum(home.contents().values()) == 6 + len(again)  # one of them copied by its owner


def test_what_is_restored_is_a_new_mail_for_dovecot(home: Home, s3: S3Double) -> None:
    put(s3, "expunged", "last")
    assert home.sync()[0] == 0
    with serving(**home.maildirs) as imap:
        with client_of(imap) as client:
            client.delete_messages(uid(client, "expunged"))
            client.expunge()
        shutil.rmtree(home.state)
        assert home.sync()[0] == 0
        assert seen(imap) == {"INBOX": ["last"]}
        done = home.do("restore", "--yes")
        assert done.returncode == 0, done.stderr
        assert seen(imap) == {"INBOX": ["expunged", "last"]}
        assert "reappeared" not in imap.log.read_text()
        assert "Error" not in imap.log.read_text()


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    "step",
    spread(
        [DeliveryStep.PREPARE, DeliveryStep.SYNC_TMP, DeliveryStep.PUBLISH, DeliveryStep.SETTLE], 2
    ),
)
def test_lost_in_the_middle_of_a_delivery(
    home: Home, s3: S3Double, step: DeliveryStep, side: str
) -> None:
    """One mail for two mailboxes; the client sees it at once where it was renamed, and moves it."""
    both, newer = letter_to_both("both"), letter("newer", ANNA)
    s3.put(newer.key, newer.body, last_modified=SINCE + 10)
    assert home.sync()[0] == 0
    s3.put(both.key, both.body, last_modified=SINCE)
    killed = fork_to_be_killed(home, "sync", step.name, side, "1", "0")
    assert killed.ended() == -signal.SIGKILL, killed.tail()
    with serving(**home.maildirs) as imap:
        moved = 0
        with client_of(imap) as client:
            for number in client.search(["SUBJECT", "both"]):
                client.create_folder("Later")
                client.move(number, "Later")
                moved += 1
        shutil.rmtree(home.state)
        assert home.sync()[0] == 0
        later = {"INBOX": ["newer"], "Later": ["both"]}
        assert seen(imap) == (later if moved else {"INBOX": ["both", "newer"]})
        assert seen(imap, "bruno") == {"INBOX": ["both"]}
    assert home.drafts() == []
