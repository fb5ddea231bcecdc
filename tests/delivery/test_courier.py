"""The courier from the ledger to the Maildirs, with a real bucket on loopback."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from postamt_sync.bucket import Bucket
from postamt_sync.delivery.courier import Courier
from postamt_sync.delivery.pending_mail import DeliveryStep
from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import Events
from postamt_sync.mail.arrival import Verdicts
from tests.delivery.home import LONG_AGO, Home
from tests.doubles.clock import Clock
from tests.doubles.inbox import MemoryLog
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import Fault, corrupt, cut, refuse, relabel
from tests.doubles.s3_keys import ODD_KEYS

BODY = b"Subject: x\r\n\r\nmail\r\n"
SPAM = Verdicts(spam="FAIL")
VIRUS = Verdicts(spam="FAIL", virus="FAIL")


@pytest.fixture
async def s3() -> AsyncIterator[S3Double]:
    async with S3Double() as s3:
        yield s3


@pytest.fixture
async def home(home: Home, s3: S3Double) -> AsyncIterator[Home]:
    """The household with that bucket."""
    async with Bucket(s3.bucket, s3.region, session=s3.session()) as bucket:
        home.bucket = bucket
        yield home


def ses(body: bytes, key: str, *lines: bytes, recipient: bytes = b"") -> bytes:
    """Put on top what SES puts there."""
    to = b"\r\n for " + recipient if recipient else b""
    return (
        b"Return-Path: <a@sender.example>\r\n"
        b"Received: from m.sender.example (m.sender.example [192.0.2.1])\r\n"
        b" by inbound-smtp.eu-west-1.amazonaws.com with SMTP id "
        + key.rpartition("/")[2].encode()
        + to
        + b";\r\n Tue, 14 Nov 2023 22:13:20 +0000 (UTC)\r\n"
        + b"".join(line + b"\r\n" for line in lines)
        + b"Received-SPF: pass\r\nAuthentication-Results: amazonses.com;\r\n spf=pass\r\n"
        + body
    )


MAILS = {
    "plain": BODY,
    "no mail at all": b"\x00\xff\xfe nothing \r of \n the kind",
    "empty": b"",
    "bare line feeds": b"Subject: x\n\nmail\n",
    "NUL": b"Subject: \0\r\n\r\n\0\0",
    "header only": b"Subject: x\r\nTo: anna@home.example",
    "10,000 header lines": b"".join(b"X-%d: y\r\n" % i for i in range(10_000)) + b"\r\nmail",
    "header block over 1 MiB": b"".join(b"X-%d: %s\r\n" % (i, b"y" * 900) for i in range(1_300))
    + b"\r\nmail",
    "one line over 1 MiB": b"Subject: " + b"x" * (1_100_000),
    "just over what is written in one go": b"Subject: x\r\n\r\n" + b"z" * (256 << 10),
}


class TestAnyBytes:
    @pytest.mark.slow
    @pytest.mark.parametrize("body", MAILS.values(), ids=MAILS.keys())
    async def test_are_delivered_as_they_are(self, home: Home, s3: S3Double, body: bytes) -> None:
        s3.put("incoming/k", body, last_modified=LONG_AGO)
        home.announce("incoming/k", "anna", "bruno")
        await home.deliver()
        assert home.bodies("anna") == home.bodies("bruno") == [body]
        (mail,) = home.mails("anna")
        assert f",S={len(body)}," in mail.name
        assert mail.stat().st_mtime == LONG_AGO
        assert home.state("incoming/k") == "delivered"

    @pytest.mark.slow
    async def test_are_delivered_whatever_their_key(self, home: Home, s3: S3Double) -> None:
        for number, key in enumerate(ODD_KEYS):
            s3.put(key, b"mail %d" % number)
            home.announce(key, "anna")
        await home.deliver()
        assert sorted(home.bodies("anna")) == sorted(b"mail %d" % i for i in range(len(ODD_KEYS)))
        outside = [p for p in home.base.rglob("*") if p.is_file() and p.parent.name != "new"]
        beside = {p.name for p in outside if p.parent != home.base / "state"}
        assert beside == {"postamt-sync.marker"}

    async def test_bear_the_time_at_which_ses_took_them(self, home: Home, s3: S3Double) -> None:
        s3.put("incoming/k", ses(BODY, "incoming/k"), last_modified=LONG_AGO + 99)
        home.announce("incoming/k", "anna")
        await home.deliver()
        assert home.mails("anna")[0].stat().st_mtime == LONG_AGO


class TestNoMail:
    @pytest.mark.parametrize("key", ["incoming/", "incoming/AMAZON_SES_SETUP_NOTIFICATION"])
    async def test_is_skipped(self, home: Home, s3: S3Double, key: str) -> None:
        s3.put(key, b"")
        home.announce(key)
        await home.deliver()
        assert home.state(key) == "skipped"
        assert home.mails("anna") == []

    @pytest.mark.slow
    async def test_with_a_slash_at_its_end_and_bytes_is_mail(
        self, home: Home, s3: S3Double
    ) -> None:
        s3.put("incoming/k/", BODY)
        home.announce("incoming/k/", "anna")
        await home.deliver()
        assert home.bodies("anna") == [BODY]


class TestAnObject:
    async def test_encrypted_on_the_senders_side_is_quarantined(
        self, home: Home, s3: S3Double
    ) -> None:
        s3.put("incoming/k", BODY, headers={"x-amz-meta-x-amz-key-v2": "AAAA"})
        home.announce("incoming/k", "anna")
        await home.deliver()
        assert home.state("incoming/k") == "quarantined"
        assert "KMS key" in home.problem("incoming/k")
        assert home.mails("anna") == home.drafts("anna") == []

    async def test_that_is_gone_is_noted(self, home: Home, s3: S3Double) -> None:
        home.announce("incoming/k", "anna")
        await home.deliver()
        assert home.state("incoming/k") == "gone"

    async def test_that_changed_is_looked_at_again(self, home: Home, s3: S3Double) -> None:
        home.announce("incoming/k", "anna", etag="0" * 32)
        s3.put("incoming/k", BODY)
        await home.deliver()
        assert home.bodies("anna") == [BODY]
        assert home.state("incoming/k") == "delivered"
        assert "changed in the bucket, looking again" in home.log.events()

    async def test_that_is_archived_waits_for_its_restoration(
        self, home: Home, s3: S3Double
    ) -> None:
        s3.put("incoming/k", BODY, storage_class="DEEP_ARCHIVE")
        home.announce("incoming/k", "anna")
        home.announce("incoming/l", "anna")
        s3.put("incoming/l", BODY)
        await home.deliver()
        assert home.state("incoming/k") == "archived"
        assert home.state("incoming/l") == "delivered"
        restored = s3.put("incoming/k", BODY, storage_class="DEEP_ARCHIVE", restored=True)
        known = {"etag": restored.etag, "storage_class": "DEEP_ARCHIVE", "restored": True}
        home.announce("incoming/k", **known)
        await home.deliver()
        assert home.state("incoming/k") == "delivered"

    async def test_damaged_for_good_holds_up_no_other(self, home: Home, s3: S3Double) -> None:
        for number in range(4):
            s3.put(f"incoming/bad{number}", BODY, etag="0" * 32)
            home.announce(f"incoming/bad{number}", "anna")
        for number in range(6):
            s3.put(f"incoming/{number}", b"good")
            home.announce(f"incoming/{number}", "anna")
        for _ in range(3):
            await home.deliver()
        assert home.bodies("anna") == [b"good"] * 6
        assert home.drafts("anna") == []
        assert home.state("incoming/bad0") == "waiting"
        assert "MD5" in home.problem("incoming/bad0")

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [20, 1 << 20])
    @pytest.mark.parametrize("fault", [cut(10), corrupt(10)], ids=["cut", "corrupt"])
    async def test_damaged_on_the_way_is_fetched_again(
        self, home: Home, s3: S3Double, fault: Fault, size: int
    ) -> None:
        body = b"S: x\r\n\r\n" + b"z" * size
        s3.put("incoming/k", body)
        home.announce("incoming/k", "anna")
        s3.next(fault)
        await home.deliver()
        assert home.mails("anna") == home.drafts("anna") == []
        assert home.state("incoming/k") == "waiting"
        await home.deliver()
        assert home.bodies("anna") == [body]

    async def test_overwritten_with_the_same_content_is_the_same_mail(
        self, home: Home, s3: S3Double
    ) -> None:
        kms = relabel(x_amz_server_side_encryption="aws:kms")
        for number in range(3):
            stored = s3.put("incoming/k", BODY, etag=f"etag-{number}")
            s3.next(kms)
            home.announce("incoming/k", "anna", etag=stored.etag)
            await home.deliver()
        assert home.bodies("anna") == [BODY]
        assert home.state("incoming/k") == "delivered"

    @pytest.mark.slow
    @pytest.mark.parametrize("pad", [0, 1 << 20])
    async def test_overwritten_with_another_content_is_another_mail(
        self, home: Home, s3: S3Double, pad: int
    ) -> None:
        for content in (b"one", b"two", b"one", b"two"):
            stored = s3.put("incoming/k", content + b" " * pad)
            home.announce("incoming/k", "anna", etag=stored.etag)
            await home.deliver()
        assert [body.strip() for body in sorted(home.bodies("anna"))] == [b"one", b"two"]
        assert home.drafts("anna") == []

    async def test_with_the_content_of_another_is_a_mail_of_its_own(
        self, home: Home, s3: S3Double
    ) -> None:
        for key in ("incoming/a", "incoming/b"):
            s3.put(key, BODY, last_modified=LONG_AGO)
            home.announce(key, "anna")
        await home.deliver()
        assert home.bodies("anna") == [BODY, BODY]


class TestFolders:
    @pytest.mark.parametrize(
        ("verdicts", "folder"), [(SPAM, ".Junk"), (VIRUS, ".Quarantine"), (None, "")]
    )
    async def test_by_the_receipts_verdicts(
        self, home: Home, s3: S3Double, verdicts: Verdicts | None, folder: str
    ) -> None:
        s3.put("incoming/k", BODY)
        home.announce("incoming/k", "anna", verdicts=verdicts)
        await home.deliver()
        assert len(home.mails("anna", folder)) == len(home.mails("anna")) == 1

    async def test_by_ses_own_headers(self, home: Home, s3: S3Double) -> None:
        line = b"X-SES-Spam-Verdict: FAIL"
        s3.put("incoming/k", ses(BODY, "incoming/k", line))
        home.announce("incoming/k", "anna")
        await home.deliver()
        assert len(home.mails("anna", ".Junk")) == 1

    async def test_never_by_what_a_sender_forged(self, home: Home, s3: S3Double) -> None:
        forged = b"X-SES-Spam-Verdict: FAIL\r\nX-SES-Virus-Verdict: FAIL\r\n"
        s3.put("incoming/k", ses(forged + BODY, "incoming/k"))
        s3.put("incoming/l", ses(forged + BODY, "incoming/of-another-mail"))
        s3.put("incoming/m", forged + BODY)
        for key in "klm":
            home.announce(f"incoming/{key}", "anna")
        await home.deliver()
        assert len(home.mails("anna", "")) == 3

    async def test_a_receipt_outweighs_the_headers(self, home: Home, s3: S3Double) -> None:
        s3.put("incoming/k", ses(BODY, "incoming/k", b"X-SES-Spam-Verdict: FAIL"))
        home.announce("incoming/k", "anna", verdicts=Verdicts(spam="PASS"))
        await home.deliver()
        assert len(home.mails("anna", "")) == 1


class TestEnvelope:
    async def test_that_is_known_decides_at_once(self, home: Home, s3: S3Double) -> None:
        home.grace = 900.0
        home.reopen()
        s3.put("incoming/k", b"To: anna@home.example\r\n" + BODY)
        home.announce("incoming/k", "bruno")
        await home.deliver()
        assert home.mails("anna") == []
        assert len(home.mails("bruno")) == 1

    async def test_of_ses_own_received_decides_at_once(self, home: Home, s3: S3Double) -> None:
        home.grace = 900.0
        home.reopen()
        s3.put("incoming/k", ses(BODY, "incoming/k", recipient=b"bruno@home.example"))
        home.announce("incoming/k")
        await home.deliver()
        assert home.mails("anna") == []
        assert len(home.mails("bruno")) == 1

    @pytest.mark.parametrize(
        ("header", "who"), [(b"Cc: bruno@home.example\r\n", "bruno"), (b"To: x@y\r\n", "anna")]
    )
    async def test_is_waited_for_then_headers_then_the_default(
        self, home: Home, s3: S3Double, header: bytes, who: str
    ) -> None:
        home.grace = 900.0
        home.reopen()
        clock = Clock()
        s3.put("incoming/k", header + BODY)
        home.announce("incoming/k")
        await home.courier(clock=clock).run(until_idle=True)
        assert home.state("incoming/k") == "waiting"
        assert home.mails("anna") == home.mails("bruno") == []
        clock.now += 890
        await home.courier(clock=clock).run(until_idle=True)
        assert s3.gets == 1
        clock.now += 20
        await home.courier(clock=clock).run(until_idle=True)
        assert home.state("incoming/k") == "delivered"
        assert len(home.mails(who)) == len(home.mails("anna")) + len(home.mails("bruno")) == 1

    async def test_that_comes_during_the_grace_ends_it(self, home: Home, s3: S3Double) -> None:
        home.grace = 900.0
        home.reopen()
        clock = Clock()
        s3.put("incoming/k", BODY)
        home.announce("incoming/k")
        await home.courier(clock=clock).run(until_idle=True)
        home.announce("incoming/k", "bruno")
        await home.courier(clock=clock).run(until_idle=True)
        assert (len(home.mails("anna")), len(home.mails("bruno"))) == (0, 1)

    async def test_is_not_waited_for_longer_than_the_grace_on_a_clock_years_behind(
        self, home: Home, s3: S3Double
    ) -> None:
        home.grace = 900.0
        home.reopen()
        clock = Clock()
        s3.put("incoming/k", BODY, last_modified=time.time() + 10 * 365 * 86_400)
        home.announce("incoming/k")
        await home.courier(clock=clock).run(until_idle=True)
        clock.now += 901
        await home.courier(clock=clock).run(until_idle=True)
        assert len(home.mails("anna")) == 1

    async def test_that_comes_late_adds_a_mailbox_and_no_second_copy(
        self, home: Home, s3: S3Double
    ) -> None:
        s3.put("incoming/k", BODY)
        home.announce("incoming/k", "anna")
        await home.deliver()
        home.announce("incoming/k", "anna", "bruno")
        await home.deliver()
        assert home.bodies("anna") == home.bodies("bruno") == [BODY]
        assert home.state("incoming/k") == "delivered"

    async def test_that_names_nobody_new_costs_no_fetch(self, home: Home, s3: S3Double) -> None:
        s3.put("incoming/k", BODY)
        home.announce("incoming/k")
        await home.deliver()
        assert s3.gets == 1
        home.announce("incoming/k", "anna")
        assert home.state("incoming/k") == "waiting"
        await home.deliver()
        assert s3.gets == 1
        assert home.state("incoming/k") == "delivered"
        assert home.bodies("anna") == [BODY]

    async def test_with_a_path_for_a_recipient_is_the_default_mailboxs(
        self, home: Home, s3: S3Double
    ) -> None:
        s3.put("incoming/k", BODY)
        home.announce("incoming/k", "../../etc/passwd")
        await home.deliver()
        assert home.bodies("anna") == [BODY]

    async def test_that_comes_while_the_mail_is_written_is_not_lost(
        self, home: Home, s3: S3Double
    ) -> None:
        s3.put("incoming/k", BODY)
        home.announce("incoming/k", "anna")
        home.disk.break_("sync", 0, times=1, first=lambda: home.announce("incoming/k", "bruno"))
        await home.deliver()
        assert home.bodies("anna") == home.bodies("bruno") == [BODY]


class TestOneBrokenMailbox:
    @pytest.mark.slow
    @pytest.mark.parametrize("call", ["create", "write", "sync", "sync_directory", "rename"])
    async def test_waits_alone(self, home: Home, s3: S3Double, call: str) -> None:
        for name in home.people:
            home.mailboxes.ready(name)
        for number in range(5):
            s3.put(f"incoming/{number}", BODY)
            home.announce(f"incoming/{number}", "anna", "bruno")
        home.disk.break_(call, errno.ENOSPC, below=home.root("anna"))
        await home.deliver()
        assert home.bodies("bruno") == [BODY] * 5
        assert home.mails("anna") == []
        assert "disk is full" in home.problem("incoming/0")
        home.disk.mend()
        for _ in range(2):
            await home.deliver()
        assert home.bodies("anna") == home.bodies("bruno") == [BODY] * 5
        assert home.drafts("anna") == []

    async def test_is_not_fetched_for_while_its_disk_is_away(
        self, home: Home, s3: S3Double
    ) -> None:
        root = home.mailboxes.ready("anna").root
        root.rename(root.with_name("unmounted"))
        clock = Clock()
        courier = home.courier(clock=clock)
        s3.put("incoming/1", BODY)
        home.announce("incoming/1", "anna")
        running = asyncio.create_task(courier.run())
        await until(lambda: home.problem("incoming/1") != "")
        s3.put("incoming/2", BODY)
        home.announce("incoming/2", "anna")
        courier.wake()
        await until(lambda: home.problem("incoming/2") != "")
        assert s3.gets == 1
        assert "Mount its disk" in home.problem("incoming/2")
        root.with_name("unmounted").rename(root)
        courier.wake()
        await until(lambda: home.state("incoming/2") == "delivered")
        await until(lambda: home.state("incoming/1") == "delivered")
        await stop(running)
        assert home.bodies("anna") == [BODY, BODY]


class TestTheBucketItself:
    @pytest.mark.slow
    async def test_that_refuses_is_told_to_who_waits_for_the_end(
        self, home: Home, s3: S3Double
    ) -> None:
        for number in range(10):
            home.announce(f"incoming/{number}", "anna")
        s3.secret_key = "changed"
        with pytest.raises(MisconfiguredError, match="signature"):
            await home.deliver()

    async def test_is_left_alone_after_some_failures_until_it_is_back(
        self, home: Home, s3: S3Double
    ) -> None:
        clock = Clock()
        courier, running = await refused_thrice(home, s3, clock)
        assert s3.gets == 3
        s3.put("incoming/new", BODY)
        home.announce("incoming/new", "anna")
        courier.wake()
        await asyncio.sleep(0)
        assert home.state("incoming/new") == "waiting"
        await courier.bucket_is_back()
        assert courier.trouble is None
        await until(lambda: len(home.mails("anna")) == 4)
        await stop(running)

    async def test_tries_again_by_itself_after_its_pause(self, home: Home, s3: S3Double) -> None:
        clock = Clock()
        courier, running = await refused_thrice(home, s3, clock)
        clock.now += 11
        courier.wake()
        await until(lambda: len(home.mails("anna")) == 3)
        assert courier.trouble is None
        await stop(running)

    @pytest.mark.slow
    async def test_that_denies_one_object_denies_not_all(self, home: Home, s3: S3Double) -> None:
        s3.put("incoming/a", BODY)
        home.announce("incoming/a", "anna")
        s3.next(refuse(403, "AccessDenied"))
        await home.deliver()
        assert "may not read" in home.problem("incoming/a")
        await home.deliver()
        assert home.bodies("anna") == [BODY]


async def refused_thrice(
    home: Home, s3: S3Double, clock: Clock
) -> tuple[Courier, asyncio.Task[None]]:
    """Run a courier whose first three GETs were refused, so that it leaves the bucket alone."""
    courier = home.courier(clock=clock)
    for number in range(3):
        s3.put(f"incoming/{number}", BODY)
        home.announce(f"incoming/{number}", "anna")
    s3.next(refuse(403, "InvalidAccessKeyId"), times=3)
    running = asyncio.create_task(courier.run())
    await until(lambda: courier.trouble is not None)
    return courier, running


async def until(true: Callable[[], bool]) -> None:
    """Wait for what must come; pytest's own limit ends it if it never does."""
    while not true():
        await asyncio.sleep(0.005)


async def stop(running: asyncio.Task[None]) -> None:
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


class TestProgress:
    async def test_counts_a_mail_once_whatever_is_heard_of_it_later(
        self, home: Home, s3: S3Double
    ) -> None:
        """By receipt, by the index, by a redelivery, and refused in between."""
        for key in ("incoming/k", "incoming/odd"):
            s3.put(key, BODY, last_modified=LONG_AGO)
            home.announce(key, "anna")
        courier = home.courier()
        running = asyncio.create_task(courier.run())

        async def ended(mails: int) -> None:
            async with asyncio.timeout(30):
                while courier.progress.mails < mails:
                    await asyncio.sleep(0.01)

        try:
            await ended(2)
            assert courier.progress.settled == 2
            home.announce("incoming/k", "anna", "bruno")
            courier.wake()
            await ended(3)
            home.ledger.repair.redeliver("incoming/k")
            courier.wake()
            await ended(4)
            assert courier.progress.settled == 2
            assert len(home.mails("anna")) == 3
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def test_of_another_process_counts_no_mail_that_was_settled_before(
        self, home: Home, s3: S3Double
    ) -> None:
        s3.put("incoming/k", BODY, last_modified=LONG_AGO)
        home.announce("incoming/k", "anna")
        await home.deliver()
        home.announce("incoming/k", "anna", "bruno")
        later = home.courier()
        await later.run(until_idle=True)
        assert len(home.mails("bruno")) == 1
        assert (later.progress.settled, later.progress.mails) == (0, 1)


async def test_what_is_to_be_tried_later_is_tried_when_its_moment_comes(
    home: Home, s3: S3Double
) -> None:
    """Without a look in between: where commits are told of, nobody looks at the clock for it."""
    courier = home.courier(looks_every=1e6)
    for number, pause in enumerate((0.05, 0.2, 1e5)):
        s3.put(f"incoming/{number}", BODY)
        home.announce(f"incoming/{number}", "anna")
        with home.ledger.store.writing() as db:
            db.execute(
                "UPDATE objects SET due = 'later', next_attempt = ? WHERE key = ?",
                (time.monotonic() + pause, f"incoming/{number}"),
            )
    running = asyncio.create_task(courier.run())
    await until(lambda: len(home.mails("anna")) == 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert len(home.mails("anna")) == 2


@pytest.mark.parametrize("wanted", [True, False])
async def test_whom_a_mail_is_from_is_told_to_eyes_alone_and_only_if_wanted(
    home: Home, s3: S3Double, wanted: bool
) -> None:
    home.destinations = dataclasses.replace(home.destinations, log_addresses=wanted)
    s3.put("incoming/a", b"From: Bob <bob@example.org>\r\n\r\nmail\r\n")
    home.announce("incoming/a", "anna")
    await home.deliver()
    [told] = [fields for _, event, fields in home.log.said if event == "delivered"]
    assert told.get("_sender") == ("bob@example.org" if wanted else None)


async def test_it_fails_instead_of_stopping_in_silence_where_nothing_can_be_published(
    home: Home, s3: S3Double
) -> None:
    """What is no Exception passes all that handles one mail; the next process goes on."""

    class Panic(BaseException): ...

    def panic(step: DeliveryStep, _done: bool) -> None:
        if step is DeliveryStep.PREPARE:
            raise Panic

    s3.put("incoming/a", BODY)
    home.announce("incoming/a", "anna")
    async with asyncio.timeout(60):
        with pytest.raises(Panic):
            await home.courier(panic).run()
    home.reopen()
    await home.deliver()
    assert home.bodies("anna") == [BODY]


class FailingLog(MemoryLog):
    """Breaks where the first delivery is told."""

    left = 1

    def info(self, event: str, **fields: Any) -> None:
        if event == "delivered" and self.left:
            self.left = 0
            raise KeyError("x")
        super().info(event, **fields)


async def test_a_bug_in_telling_of_one_mail_holds_up_no_other(home: Home, s3: S3Double) -> None:
    home.log = FailingLog()
    home.events = Events(home.log)
    s3.put("incoming/a", BODY)
    home.announce("incoming/a", "anna")
    courier = home.courier()
    running = asyncio.create_task(courier.run())
    await until(lambda: home.log.events("error") == ["internal error"])
    s3.put("incoming/b", BODY)
    home.announce("incoming/b", "bruno")
    await courier.bucket_is_back()
    await until(lambda: home.bodies("bruno") == [BODY])
    await stop(running)
    assert home.bodies("anna") == [BODY]
