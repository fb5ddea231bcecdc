"""What was sent in the webmail comes home: to whom its key names, into Sent, as seen."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from postamt_sync.delivery.fetcher import SMALL, Fetcher
from postamt_sync.delivery.filename import parse_name
from postamt_sync.delivery.lmtp import Lmtp
from postamt_sync.delivery.mailboxes import Handover, Mailboxes
from postamt_sync.delivery.pending_mail import DeliveryStep, FetchedMail, WrittenMail
from postamt_sync.delivery.places import Places
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.mail.arrival import Arrival, Envelope, Source
from postamt_sync.mail.sent_mail import sent_key
from tests.delivery.home import LONG_AGO, Home
from tests.doubles.disk import PowerCut

DRAFT = "0123456789abcdef0123"
KEY = sent_key("bruno", "2026-11", DRAFT)
TO_ANNA = (
    b"From: bruno@home.example\r\nTo: anna@home.example\r\nBcc: dora@home.example\r\n\r\nHi.\r\n"
)


@pytest.fixture(params=["small", "large"])
def body(request: pytest.FixtureRequest) -> bytes:
    return TO_ANNA if request.param == "small" else TO_ANNA + b"tea\r\n" * (SMALL // 5)


def found(home: Home, key: str = KEY, **known: object) -> None:
    """Hear of an object as the poll does."""
    stored = home.bucket.objects[key]
    about = {"etag": stored.etag, "size": stored.size, "last_modified": stored.last_modified}
    home.ledger.arrivals.record([Arrival(home.bucket.name, key, Source.SENT, **(about | known))])


async def stopped(home: Home, step: DeliveryStep, *, done: bool) -> None:
    """Bring the mail to a step and stop dead there; then be a new process."""

    def observer(at: DeliveryStep, is_done: bool) -> None:
        if (at, is_done) == (step, done):
            raise PowerCut

    async def deliver() -> None:
        fetcher = Fetcher(Places(1, 1, 1), time.monotonic, observer)
        async with home.bucket.fetch(KEY) as fetched:
            mail = await fetcher.collect(home.task(KEY), home.destinations, fetched, {})
        assert isinstance(mail, FetchedMail | WrittenMail)
        Publisher(home.ledger.work, home.events, observer).publish([mail])

    with pytest.raises(PowerCut):
        await deliver()
    home.reopen()


async def test_it_lies_in_sent_of_its_sender_as_seen(home: Home, body: bytes) -> None:
    home.bucket.put(KEY, body)
    found(home)
    await home.deliver()
    [path] = home.mails("bruno")
    assert path.parent == home.root("bruno") / ".Sent" / "cur"
    assert path.read_bytes() == body
    assert path.stat().st_mtime == LONG_AGO
    assert home.mails("anna") == []
    assert home.state(KEY) == "delivered"
    assert home.ledger.repair.find(KEY).evidence == "sent"
    assert "Sent" in (home.root("bruno") / "subscriptions").read_text()


async def test_its_name_is_frozen(home: Home) -> None:
    home.bucket.put(KEY, TO_ANNA)
    found(home)
    await home.deliver()
    [path] = home.mails("bruno")
    assert path.name == (
        "1700000000.M000000Kbec4fb71e7bec19cd832ceafE58ce95458323c948.postamt,S=80,W=80:2,S"
    )
    name = parse_name(path.name)
    assert name is not None
    assert name.size == len(TO_ANNA)


@pytest.mark.slow
@pytest.mark.parametrize("step", DeliveryStep)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_cut_off_at_any_step_it_is_there_once(
    home: Home, body: bytes, step: DeliveryStep, after: bool
) -> None:
    home.bucket.put(KEY, body)
    found(home)
    await stopped(home, step, done=after)
    await home.deliver()
    assert [p.read_bytes() for p in home.mails("bruno")] == [body]
    assert home.mails("bruno")[0].parent.parent.name == ".Sent"
    assert home.drafts("bruno") == []
    assert home.state(KEY) == "delivered"


async def test_announced_again_it_is_no_second_mail(home: Home) -> None:
    home.bucket.put(KEY, TO_ANNA)
    found(home)
    await home.deliver()
    gets = home.bucket.gets
    found(home)
    found(home, etag=None, size=None, last_modified=None)
    home.reopen()
    found(home)
    await home.deliver()
    assert len(home.mails("bruno")) == 1
    assert home.bucket.gets == gets


async def test_moved_or_deleted_by_its_owner_it_stays_so(home: Home) -> None:
    home.bucket.put(KEY, TO_ANNA)
    found(home)
    await home.deliver()
    home.mails("bruno")[0].unlink()
    found(home)
    await home.deliver()
    assert home.mails("bruno") == []


async def test_redelivered_it_comes_once_more_under_another_name(home: Home) -> None:
    home.bucket.put(KEY, TO_ANNA)
    found(home)
    await home.deliver()
    home.ledger.repair.redeliver(KEY)
    await home.deliver()
    first, second = home.mails("bruno")
    assert {first.parent, second.parent} == {home.root("bruno") / ".Sent" / "cur"}
    assert "R1.postamt" in second.name + first.name


async def test_a_folder_that_its_owner_deleted_is_made_again(home: Home) -> None:
    home.bucket.put(KEY, TO_ANNA)
    found(home)
    await stopped(home, DeliveryStep.PREPARE, done=True)
    sent = home.root("bruno") / ".Sent"
    for part in ("cur", "new", "tmp"):
        (sent / part).rmdir()
    sent.rmdir()
    home.reopen()
    home.mailboxes.folders |= {"Sent"}
    await home.deliver()
    assert [p.parent for p in home.mails("bruno")] == [sent / "cur"]


async def test_a_folder_that_has_lost_its_cur_gets_it_back(home: Home) -> None:
    home.bucket.put(KEY, TO_ANNA)
    (home.root("bruno") / ".Sent" / "new").mkdir(parents=True)
    found(home)
    await home.deliver()
    assert len(home.mails("bruno", ".Sent")) == 1


async def test_neither_receipt_nor_header_gives_it_to_others(home: Home) -> None:
    """Only a forgery could say so, and it would be believed by nobody before this either."""
    home.bucket.put(KEY, TO_ANNA)
    everybody = Envelope(("anna@home.example", "bruno@home.example"))
    found(home, envelope=everybody)
    await home.deliver()
    found(home, envelope=Envelope(("anna@home.example",)))
    await home.deliver()
    assert home.mails("anna") == []
    assert len(home.mails("bruno")) == 1


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (sent_key("dora", "2026-11", DRAFT), "no mailbox of this name"),
        (sent_key("Bruno", "2026-11", DRAFT), "no mailbox of this name"),
        (sent_key("../bruno", "2026-11", DRAFT), "no mailbox of this name"),
        (sent_key("br\u00fcno", "2026-11", DRAFT), "no mailbox of this name"),
        ("sent/bruno/junk", "its key is none"),
        ("sent/bruno/2026-11/../../../../etc/passwd", "its key is none"),
        (f"sent/bruno/2026-11/{DRAFT}\n", "its key is none"),
    ],
)
async def test_what_names_no_mailbox_is_put_aside_with_the_reason(
    home: Home, key: str, said: str
) -> None:
    before = sorted(home.base.rglob("*"))
    home.bucket.put(key, TO_ANNA)
    found(home, key)
    await home.deliver()
    assert home.state(key) == "quarantined"
    assert said in home.problem(key)
    assert "\n" not in home.problem(key)
    assert home.mails("anna") == home.mails("bruno") == []
    assert [p for p in sorted(home.base.rglob("*")) if p not in before and p.is_file()] == []


async def test_a_folder_marker_is_no_mail(home: Home) -> None:
    home.bucket.put("sent/bruno/", b"")
    found(home, "sent/bruno/")
    await home.deliver()
    assert home.state("sent/bruno/") == "skipped"


async def test_one_that_is_put_aside_comes_once_its_mailbox_is_named(home: Home) -> None:
    key = sent_key("carl", "2026-11", DRAFT)
    home.bucket.put(key, TO_ANNA)
    found(home, key)
    await home.deliver()
    home.people = (*home.people, "carl")
    home.reopen()
    assert home.ledger.repair.retry_quarantined() == 1
    await home.deliver()
    assert len(home.mails("carl", ".Sent")) == 1


async def test_it_is_counted_among_no_mail_that_came(home: Home) -> None:
    home.bucket.put(KEY, TO_ANNA)
    found(home)
    await home.deliver()
    assert home.ledger.history.latencies().total == 0


class RefusingLmtp(Lmtp):
    """Dovecot's LMTP, which is to get nothing of this."""

    def __init__(self) -> None:
        super().__init__("/nowhere")

    def deliver(self, path: Path, recipient: str, folder: str) -> None:
        raise AssertionError((path, recipient, folder))


@pytest.fixture
def by_lmtp(home: Home) -> Home:
    """Bruno's mail goes to Dovecot over LMTP."""
    reopen = home.reopen

    def again() -> None:
        reopen()
        handover = Handover(RefusingLmtp(), home.base / "lmtp", {"bruno": "bruno"})
        roots = [(name, home.root(name)) for name in home.people]
        boxes = Mailboxes(roots, home.ledger.work, home.disk, {"Sent"}, handover)
        home.mailboxes = boxes
        home.destinations = replace(home.destinations, mailboxes=boxes)

    home.reopen = again  # type: ignore[method-assign]
    home.reopen()
    return home


def make_maildir(root: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True)


async def test_where_lmtp_delivers_the_writer_writes_it_all_the_same(
    by_lmtp: Home, body: bytes
) -> None:
    make_maildir(by_lmtp.root("bruno"))
    by_lmtp.bucket.put(KEY, body)
    found(by_lmtp)
    await by_lmtp.deliver()
    [path] = by_lmtp.mails("bruno")
    assert (path.parent.parent.name, path.read_bytes()) == (".Sent", body)


async def test_a_maildir_that_dovecot_has_not_made_is_waited_for(by_lmtp: Home) -> None:
    by_lmtp.bucket.put(KEY, TO_ANNA)
    found(by_lmtp)
    await by_lmtp.deliver()
    assert not by_lmtp.root("bruno").exists()
    assert "is no Maildir" in by_lmtp.problem(KEY)
    assert "Sign in to the mailbox once" in by_lmtp.problem(KEY)
    make_maildir(by_lmtp.root("bruno"))
    await by_lmtp.deliver()
    assert len(by_lmtp.mails("bruno", ".Sent")) == 1


@pytest.mark.parametrize("step", [DeliveryStep.PREPARE, DeliveryStep.PUBLISH, DeliveryStep.SETTLE])
async def test_where_lmtp_delivers_it_is_resumed_as_well(by_lmtp: Home, step: DeliveryStep) -> None:
    make_maildir(by_lmtp.root("bruno"))
    by_lmtp.bucket.put(KEY, TO_ANNA)
    found(by_lmtp)
    await stopped(by_lmtp, step, done=True)
    by_lmtp.reopen()
    await by_lmtp.deliver()
    assert len(by_lmtp.mails("bruno")) == 1


async def test_a_disk_that_is_away_holds_back_what_was_sent_and_nothing_that_came(
    by_lmtp: Home,
) -> None:
    make_maildir(by_lmtp.root("bruno"))
    by_lmtp.bucket.put(KEY, TO_ANNA)
    found(by_lmtp)
    await by_lmtp.deliver()
    by_lmtp.root("bruno").rename(by_lmtp.base / "away")
    second = sent_key("bruno", "2026-11", "f" * 20)
    by_lmtp.bucket.put(second, TO_ANNA)
    found(by_lmtp, second)
    by_lmtp.reopen()
    await by_lmtp.deliver()
    assert "vanished" in by_lmtp.problem(second)
    (by_lmtp.base / "away").rename(by_lmtp.root("bruno"))
    await by_lmtp.deliver()
    assert len(by_lmtp.mails("bruno", ".Sent")) == 2
