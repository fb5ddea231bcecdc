"""What a mail client sees of it: a real Dovecot serves what a real pass delivered."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from imapclient import IMAPClient

from postamt_sync.demo.dovecot import PrivateDovecot
from tests.doubles.s3 import S3Double
from tests.dovecot import mail_client, needs_dovecot, serving
from tests.end_to_end.home import BRUNO, Home
from tests.end_to_end.letters import (
    RECEIVED_AT,
    Letter,
    letter,
    letter_to_both,
    put,
    sample_letters,
)
from tests.faults.forked import fork_to_be_killed

pytestmark = needs_dovecot

LETTERS = {sample.title: stored for sample, stored in sample_letters()}


@contextmanager
def imap_of(home: Home) -> Iterator[PrivateDovecot]:
    with serving(**home.maildirs) as imap:
        yield imap


def delivered(home: Home) -> None:
    code, said = home.sync()
    assert code == 0, said


def test_every_sample_comes_out_byte_for_byte(home: Home, s3: S3Double) -> None:
    put(s3, *LETTERS.values(), letter_to_both("both"))
    delivered(home)
    wanted = [copy for one in LETTERS.values() for copy in one.expected()]
    wanted += letter_to_both("both").expected()
    seen = []
    with imap_of(home) as imap:
        for login in home.maildirs:
            with mail_client(imap, login) as client:
                for folder in ("INBOX", "Junk"):
                    place = login if folder == "INBOX" else f"{login}/{folder}"
                    client.select_folder(folder, readonly=True)
                    mails = client.fetch(client.search(), ["BODY.PEEK[]", "RFC822.SIZE"])
                    for mail in mails.values():
                        assert mail[b"RFC822.SIZE"] == len(mail[b"BODY[]"])
                        seen.append((place, mail[b"BODY[]"]))
        assert "Error" not in imap.log.read_text()
    assert sorted(seen) == sorted(wanted)


def test_the_date_is_when_ses_received_it(home: Home, s3: S3Double) -> None:
    one = letter("one")
    s3.put(one.key, one.body, last_modified=RECEIVED_AT.timestamp() + 86_400 * 365)
    delivered(home)
    with imap_of(home) as imap, mail_client(imap, "anna") as client:
        client.normalise_times = False
        client.select_folder("INBOX", readonly=True)
        assert client.fetch(1, ["INTERNALDATE"])[1][b"INTERNALDATE"] == RECEIVED_AT


def test_line_ends_of_a_unix_sender_are_counted_as_imap_sends_them(
    home: Home, s3: S3Double
) -> None:
    s3.put("incoming/lf", b"To: anna@example.com\nSubject: x\n\none\ntwo\r\n")
    delivered(home)
    served = b"To: anna@example.com\r\nSubject: x\r\n\r\none\r\ntwo\r\n"
    with imap_of(home) as imap, mail_client(imap, "anna") as client:
        client.select_folder("INBOX", readonly=True)
        for _ in range(2):
            mail = client.fetch(1, ["RFC822.SIZE", "BODY.PEEK[]"])[1]
            assert (mail[b"RFC822.SIZE"], mail[b"BODY[]"]) == (len(served), served)
        assert imap.log.read_text().count("wrong W value") == 0


def test_an_idling_client_hears_of_it(home: Home, s3: S3Double) -> None:
    put(s3, letter("first"))
    delivered(home)
    with imap_of(home) as imap, mail_client(imap, "anna") as client:
        client.select_folder("INBOX")
        client.idle()
        put(s3, letter("second"))
        delivered(home)
        heard: list[object] = []
        while (2, b"EXISTS") not in heard:
            news = client.idle_check(timeout=30)
            assert news, f"no word of the mail, only {heard}"
            heard += news
        client.idle_done()


def test_spam_lies_in_a_folder_that_clients_show(home: Home, s3: S3Double) -> None:
    put(s3, LETTERS["Spam, by SES's verdict"])
    delivered(home)
    with imap_of(home) as imap, mail_client(imap, "bruno") as client:
        assert "Junk" in [name for _, _, name in client.list_sub_folders()]
        assert client.select_folder("Junk")[b"EXISTS"] == 1
        assert client.select_folder("INBOX")[b"EXISTS"] == 0


def test_a_virus_folder_of_ours_is_subscribed_by_its_delivery(home: Home, s3: S3Double) -> None:
    body = LETTERS["A plain letter"].body.replace(b"Virus-Verdict: PASS", b"Virus-Verdict: FAIL")
    s3.put(LETTERS["A plain letter"].key, body)
    delivered(home)
    with imap_of(home) as imap, mail_client(imap, "anna") as client:
        assert "Quarantine" in [name for _, _, name in client.list_sub_folders()]
        assert client.select_folder("Quarantine")[b"EXISTS"] == 1


# A client acts while the mail is neither prepared nor settled


def interrupted(home: Home, s3: S3Double, *letters: Letter) -> None:
    """Deliver, and be killed between the rename and the ledger's knowledge of it."""
    put(s3, *letters)
    killed = fork_to_be_killed(home, "sync", "SYNC_FOLDERS", "after", "1", "0")
    assert killed.ended() == -signal.SIGKILL, killed.tail()
    assert home.states() == {"waiting": len(letters)}


def flag(client: IMAPClient) -> None:
    client.add_flags(1, [b"\\Seen", b"\\Flagged", b"$Invoice"])


def move(client: IMAPClient) -> None:
    client.create_folder("Later")
    client.move(1, "Later")


def move_to_a_folder_that_is_deleted(client: IMAPClient) -> None:
    move(client)
    client.delete_folder("Later")


def expunge(client: IMAPClient) -> None:
    client.delete_messages(1)
    client.expunge()


@pytest.mark.parametrize(
    ("act", "left"), [(flag, 1), (move, 1), (move_to_a_folder_that_is_deleted, 0), (expunge, 0)]
)
def test_a_client_acts_in_the_middle_of_a_retry(
    home: Home, s3: S3Double, act: Callable[[IMAPClient], None], left: int
) -> None:
    one = letter("one", BRUNO)
    interrupted(home, s3, one)
    with imap_of(home) as imap:
        with mail_client(imap, "bruno") as client:
            assert client.select_folder("INBOX")[b"EXISTS"] == 1
            act(client)
        delivered(home)
        assert home.states() == {"delivered": 1}
        with mail_client(imap, "bruno") as client:
            counts = [client.select_folder(name)[b"EXISTS"] for _, _, name in client.list_folders()]
            assert sum(counts) == left
            if act is flag:
                client.select_folder("INBOX")
                flags = client.get_flags(1)[1]
                assert {b"\\Seen", b"\\Flagged", b"$Invoice"} <= set(flags)
        assert "Error" not in imap.log.read_text()
    assert sum(home.contents().values()) == left
    delivered(home)
    assert sum(home.contents().values()) == left


def test_each_mailboxes_client_acts_on_its_own_copy(home: Home, s3: S3Double) -> None:
    both = letter_to_both("both")
    interrupted(home, s3, both)
    with imap_of(home) as imap:
        for login, act in (("anna", expunge), ("bruno", move)):
            with mail_client(imap, login) as client:
                client.select_folder("INBOX")
                act(client)
        delivered(home)
        with mail_client(imap, "bruno") as client:
            assert client.select_folder("Later")[b"EXISTS"] == 1
            assert client.fetch(1, ["BODY[]"])[1][b"BODY[]"] == both.body
    assert [str(place) for place, _ in home.mails()] == ["bruno/Later"]
