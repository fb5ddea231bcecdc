"""What people know their mail by: remembered beside the work, completed from files, erased."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from postamt_sync.config import LiveSettings, Settings, load
from postamt_sync.delivery.destinations import Destinations, LiveDestinations
from postamt_sync.delivery.filename import make_stem
from postamt_sync.delivery.mailbox_threads import MailboxThreads
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.store import FILE_NAME
from postamt_sync.mail.arrival import mail_id
from postamt_sync.status import header_memory
from postamt_sync.status.header_memory import HeaderMemory
from tests.doubles.ledger import listing
from tests.support.household import configure

HEAD = b"""Received: from x by y\r
Message-Id:\r
 <one@sender.example>\r
From: =?utf-8?q?J=C3=B6rg?= <joerg@sender.example>\r
To: anna@example.com\r
Subject: Tea\r
\r
From: nobody\r
"""


@pytest.fixture
def live(settings: Settings) -> LiveSettings:
    return LiveSettings(settings)


@pytest.fixture
def destinations(live: LiveSettings, ledger: Ledger) -> Destinations:
    return LiveDestinations(live, ledger.work).current()


@pytest.fixture
def memory(live: LiveSettings, ledger: Ledger, destinations: Destinations) -> HeaderMemory:
    return HeaderMemory(live, ledger.headers, lambda: destinations)


def known(ledger: Ledger, key: str) -> str:
    """Let the ledger know an object; return its mail id."""
    arrival = listing(key=key, last_modified=100.0)
    ledger.arrivals.record([arrival])
    return arrival.mail_id


def lying(maildir: Path, key: str, head: bytes, at: float = 100.0, part: str = "cur") -> Path:
    """Put a mail into a Maildir as if the daemon had delivered it, and someone had read it."""
    for each in ("new", "cur", "tmp"):
        (maildir / each).mkdir(parents=True, exist_ok=True)
    name = f"{make_stem('mail', key, 'e1', at)},S=9,W=9" + (":2,FS" if part == "cur" else "")
    path = maildir / part / name
    path.write_bytes(head)
    return path


def switched(live: LiveSettings, settings: Settings, *, on: bool) -> None:
    delivery = settings.delivery.model_copy(update={"remember_headers": on})
    live.replace(settings.model_copy(update={"delivery": delivery}), may_remove=False)


def test_what_is_fetched_is_remembered_decoded(memory: HeaderMemory, ledger: Ledger) -> None:
    mail = known(ledger, "in/a")
    memory.heard(mail, 100.0, HEAD)
    asyncio.run(memory.write())
    (header,) = ledger.headers.latest(5)
    assert (header.sender, header.subject) == ("Jörg <joerg@sender.example>", "Tea")
    assert (header.message_id, header.stored_at) == ("<one@sender.example>", 100.0)


def test_a_receipt_tells_before_anything_is_fetched(memory: HeaderMemory, ledger: Ledger) -> None:
    mail = known(ledger, "in/a")
    common = {"messageId": "<m@x>", "from": ["A <a@x>"], "subject": "Grüße"}
    receipt = {"mail": {"timestamp": "2026-11-28T10:00:00.000Z", "commonHeaders": common}}
    memory.told(mail, receipt)
    memory.told(mail, {"mail": "no object"})
    asyncio.run(memory.write())
    (header,) = ledger.headers.latest(5)
    assert (header.message_id, header.subject, header.sender) == ("<m@x>", "Grüße", "A <a@x>")
    assert header.stored_at == 1795860000.0


@pytest.mark.parametrize("timestamp", [None, 7, "never", "9999-99-99", {}])
def test_a_receipt_may_say_what_it_likes(
    memory: HeaderMemory, ledger: Ledger, timestamp: object
) -> None:
    mail = known(ledger, "in/a")
    hostile = {"messageId": ["<m>"], "from": 7, "subject": {"a": 1}}
    memory.told(mail, {"mail": {"timestamp": timestamp, "commonHeaders": hostile, "headers": 3}})
    asyncio.run(memory.write())
    assert [header.subject for header in ledger.headers.latest(5)] == [""]


def test_what_the_ledger_does_not_know_is_not_remembered(
    memory: HeaderMemory, ledger: Ledger
) -> None:
    memory.heard(mail_id("mail", "in/foreign"), 1.0, HEAD)
    asyncio.run(memory.write())
    assert ledger.headers.latest(5) == []


@pytest.mark.slow
def test_no_more_is_put_aside_than_memory_allows(
    memory: HeaderMemory, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = [known(ledger, f"in/{n}") for n in range(700)]
    for mail in mails:
        memory.heard(mail, 1.0, HEAD)
    asyncio.run(memory.write())
    assert len(ledger.headers.mails()) == header_memory.MOST_ASIDE


@pytest.mark.slow
def test_the_maildirs_tell_of_what_was_missed(
    memory: HeaderMemory, ledger: Ledger, settings: Settings
) -> None:
    root = settings.mailboxes[0].maildir
    mails = [known(ledger, f"in/{n}") for n in range(120)]
    for n in range(120):
        folder = root / ".Lists" if n % 2 else root
        lying(folder, f"in/{n}", HEAD.replace(b"Tea", b"Tea %d" % n), 100.0 + n)
    asyncio.run(memory.complete())
    assert ledger.headers.mails() == set(mails)
    assert ledger.headers.latest(1)[0].subject == "Tea 119"


def test_more_than_one_look_takes_up_is_taken_up_by_the_next(
    memory: HeaderMemory, ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header_memory, "MOST", 7)
    mails = [known(ledger, f"in/{n}") for n in range(20)]
    for n in range(20):
        lying(settings.mailboxes[0].maildir, f"in/{n}", HEAD, 100.0 + n)
    lying(settings.mailboxes[0].maildir, "in/foreign", HEAD, 999.0)
    asyncio.run(memory.complete())
    assert ledger.headers.mails() == set(mails)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_what_is_no_mail_holds_nobody_up(
    memory: HeaderMemory, ledger: Ledger, settings: Settings, make: Callable[[Path], None]
) -> None:
    root = settings.mailboxes[0].maildir
    mail, _ = known(ledger, "in/a"), known(ledger, "in/b")
    lying(root, "in/a", HEAD)
    odd = lying(root, "in/b", HEAD)
    odd.unlink()
    make(odd)
    asyncio.run(memory.complete())
    assert [header.mail for header in ledger.headers.latest(5)] == [mail]


def test_a_disk_that_hangs_is_left_out(
    memory: HeaderMemory,
    ledger: Ledger,
    settings: Settings,
    destinations: Destinations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mail = known(ledger, "in/b")
    lying(settings.mailboxes[0].maildir, "in/a", HEAD)
    lying(settings.mailboxes[1].maildir, "in/b", HEAD)
    forever = threading.Event()
    usual = header_memory.our_names

    def names(root: Path) -> object:
        if root == settings.mailboxes[0].maildir:
            forever.wait(60)
        return usual(root)

    monkeypatch.setattr(header_memory, "our_names", names)
    hanging = destinations.mailboxes.find(settings.mailboxes[0].name)
    hanging.threads = MailboxThreads("hanging", patience=0.05)
    asyncio.run(memory.complete())
    forever.set()
    assert [header.mail for header in ledger.headers.latest(5)] == [mail]


def test_switched_off_nothing_is_kept_and_what_was_is_erased_from_the_file(
    memory: HeaderMemory, ledger: Ledger, settings: Settings, live: LiveSettings
) -> None:
    mail = known(ledger, "in/a")
    memory.heard(mail, 1.0, HEAD.replace(b"Tea", b"Unforgettable"))
    asyncio.run(memory.write())
    switched(live, settings, on=False)
    memory.heard(mail, 1.0, HEAD)
    asyncio.run(memory.write())
    assert ledger.headers.latest(5) == []
    files = settings.state_dir.glob(f"{FILE_NAME}*")
    assert not any(b"Unforgettable" in path.read_bytes() for path in files)
    assert ledger.tracks.count() == 1  # its way stays known


def test_switched_off_and_on_again_it_is_completed_at_once(
    live: LiveSettings, destinations: Destinations, ledger: Ledger, settings: Settings
) -> None:
    """A service goes by its settings at each round, without a restart."""
    mail, rounds, ends = known(ledger, "in/a"), iter([False, True, True]), []
    lying(settings.mailboxes[0].maildir, "in/a", HEAD)

    async def sleep(seconds: float) -> None:
        if seconds == header_memory.WRITE_EVERY:
            ends.append(ledger.headers.mails())
            switched(live, settings, on=next(rounds))

    memory = HeaderMemory(live, ledger.headers, lambda: destinations, clock=float, sleep=sleep)
    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(memory.run())
    assert ends == [set(), set(), {mail}, {mail}]


def test_it_is_on_by_default(tmp_path: Path) -> None:
    assert load(configure(tmp_path), {}).delivery.remember_headers is True


def test_folded_text_is_stored_only_where_it_is_another(
    memory: HeaderMemory, ledger: Ledger, settings: Settings
) -> None:
    memory.heard(known(ledger, "in/a"), 1.0, HEAD)
    memory.heard(known(ledger, "in/b"), 1.0, HEAD.replace(b"=?utf-8?q?J=C3=B6rg?=", b"Joerg"))
    asyncio.run(memory.write())
    with sqlite3.connect(settings.state_dir / FILE_NAME) as db:
        rows = db.execute("SELECT folded != '' FROM headers ORDER BY sender").fetchall()
    assert rows == [(0,), (1,)]
