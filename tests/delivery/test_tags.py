"""Tags, DMARC and Delivered-To from the ledger to the Maildir, with a real bucket on loopback."""

from __future__ import annotations

import dataclasses
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from postamt_sync.bucket import Bucket
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.filename import parse_name
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.pending_mail import DeliveryStep
from postamt_sync.mail.arrival import Arrival, Envelope, Source, Verdicts
from postamt_sync.mail.routing import VerdictFolders
from tests.delivery.home import Home
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import corrupt

BODY = b"Subject: x\r\n\r\nmail\r\n"
LARGE = b"Subject: x\r\n\r\n" + b"0123456\r\n" * 50_000
KEY = "incoming/k"


@pytest.fixture
async def s3() -> AsyncIterator[S3Double]:
    async with S3Double() as s3:
        yield s3


@pytest.fixture
async def home(home: Home, s3: S3Double) -> AsyncIterator[Home]:
    """Anna's tags mean folders, Bruno's do not."""
    async with Bucket(s3.bucket, s3.region, session=s3.session()) as bucket:
        home.bucket = bucket
        home.destinations = dataclasses.replace(home.destinations, tagged=frozenset({"anna"}))
        for name in home.people:
            home.mailboxes.ready(name)
        yield home


def announce(
    home: Home, *recipients: str, key: str = KEY, verdicts: Verdicts | None = None
) -> None:
    envelope = Envelope(recipients, verdicts=verdicts or Verdicts())
    home.ledger.arrivals.record([Arrival(home.bucket.name, key, Source.WEBHOOK, envelope=envelope)])


def made(home: Home, *folders: str, name: str = "anna") -> None:
    for folder in folders:
        Maildir(home.root(name), Disk()).open_folder(folder)


def places(home: Home, name: str = "anna") -> list[str]:
    return [str(p.parent.parent.relative_to(home.root(name))) for p in home.mails(name)]


async def delivered_to_places(home: Home, s3: S3Double, *recipients: str) -> list[str]:
    s3.put(KEY, BODY)
    announce(home, *recipients)
    await home.deliver()
    return places(home)


class TestTags:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("tag", "folder"),
        [
            ("shop", ".Shop"),
            ("SHOP", ".Shop"),
            ("lists.club", ".Lists.Club"),
            ("b\u00dccher", ".B&APw-cher"),
            ("lists", "."),  # only its subfolder is there
            ("unknown", "."),
            ("sent", "."),
            ("../bruno", "."),
            ("/etc", "."),
            ("\0", "."),
            (".", "."),
            ("new", "."),
            ("b&apw-cher", "."),  # as written on disk, it is another name
        ],
    )
    async def test_lead_into_folders_that_are_there(
        self, home: Home, s3: S3Double, tag: str, folder: str
    ) -> None:
        made(home, "Shop", "Lists/Club", "B\u00fccher", "Sent")
        before = sorted(home.root("anna").iterdir())
        assert await delivered_to_places(home, s3, f"anna+{tag}@home.example") == [folder]
        assert sorted(home.root("anna").iterdir()) == before

    async def test_mean_nothing_unless_the_mailbox_says_so(self, home: Home, s3: S3Double) -> None:
        made(home, "Shop", name="bruno")
        s3.put(KEY, BODY)
        announce(home, "bruno+shop@home.example")
        await home.deliver()
        assert places(home, "bruno") == ["."]

    async def test_are_each_mailboxes_own(self, home: Home, s3: S3Double) -> None:
        home.destinations = dataclasses.replace(home.destinations, tagged=frozenset(home.people))
        made(home, "Shop")
        made(home, "Club", name="bruno")
        s3.put(KEY, LARGE)
        announce(home, "anna+shop@home.example", "bruno+club@home.example")
        await home.deliver()
        assert (places(home), places(home, "bruno")) == ([".Shop"], [".Club"])
        assert home.bodies("anna") == home.bodies("bruno") == [LARGE]

    @pytest.mark.slow
    async def test_do_not_save_spam_from_its_folder(self, home: Home, s3: S3Double) -> None:
        made(home, "Shop")
        s3.put(KEY, BODY)
        announce(home, "anna+shop@home.example", verdicts=Verdicts(spam="FAIL"))
        await home.deliver()
        assert places(home) == [".Junk"]

    async def test_never_follow_a_link(self, home: Home, s3: S3Double, tmp_path: Path) -> None:
        Maildir(tmp_path / "elsewhere", Disk()).create()
        (home.root("anna") / ".Shop").symlink_to(tmp_path / "elsewhere")
        assert await delivered_to_places(home, s3, "anna+shop@home.example") == ["."]

    async def test_need_a_folder_that_can_take_mail(self, home: Home, s3: S3Double) -> None:
        (home.root("anna") / ".Shop").mkdir()
        assert await delivered_to_places(home, s3, "anna+shop@home.example") == ["."]

    @pytest.mark.slow
    async def test_a_folder_deleted_in_the_middle_is_not_made_again(
        self, home: Home, s3: S3Double
    ) -> None:
        made(home, "Shop")
        shop = home.root("anna") / ".Shop"

        def delete(step: DeliveryStep, done: bool) -> None:
            if step is DeliveryStep.PREPARE and done:
                for part in shop.iterdir():
                    part.rmdir()
                shop.rmdir()

        s3.put(KEY, BODY)
        announce(home, "anna+shop@home.example")
        await home.deliver(delete)
        assert home.state(KEY) == "waiting"
        await home.deliver()
        assert places(home) == ["."]
        assert not shop.exists()
        assert home.state(KEY) == "delivered"

    async def test_a_disk_that_cannot_be_read_keeps_the_mail_waiting(
        self, home: Home, s3: S3Double
    ) -> None:
        if os.geteuid() == 0:
            home.root("anna").rename(home.base / "away")
        else:
            home.root("anna").chmod(0)
        assert await delivered_to_places(home, s3, "anna+shop@home.example") == []
        assert home.state(KEY) == "waiting"


class TestDmarc:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("policy", "option", "folder"),
        [("reject", "Junk", ".Junk"), ("none", "Junk", "."), ("reject", "", ".")],
    )
    async def test_goes_where_the_configuration_says(
        self, home: Home, s3: S3Double, policy: str, option: str, folder: str
    ) -> None:
        home.destinations = dataclasses.replace(
            home.destinations, folders=VerdictFolders(dmarc=option)
        )
        s3.put(KEY, BODY)
        failed = Verdicts(dmarc="FAIL", dmarc_policy=policy)
        announce(home, "anna@home.example", verdicts=failed)
        await home.deliver()
        assert places(home) == [folder]


@pytest.mark.parametrize("body", [BODY, LARGE, b"Subject: x\n\nbare\n", b""])
class TestDeliveredTo:
    @pytest.fixture
    def home(self, home: Home) -> Home:
        home.destinations = dataclasses.replace(home.destinations, delivered_to=True)
        return home

    @pytest.mark.slow
    async def test_is_in_the_very_bytes_whose_size_the_name_tells(
        self, home: Home, s3: S3Double, body: bytes
    ) -> None:
        s3.put(KEY, body)
        announce(home, "anna@home.example", "anna+shop@home.example", "bruno@home.example")
        await home.deliver()
        assert home.bodies("anna") == [
            b"Delivered-To: anna+shop@home.example\r\nDelivered-To: anna@home.example\r\n" + body
        ]
        assert home.bodies("bruno") == [b"Delivered-To: bruno@home.example\r\n" + body]
        for path in (*home.mails("anna"), *home.mails("bruno")):
            name = parse_name(path.name)
            assert name is not None
            stored = path.read_bytes()
            bare = stored.count(b"\n") - stored.count(b"\r\n")
            assert (name.size, name.vsize) == (len(stored), len(stored) + bare)

    async def test_does_not_hide_that_the_object_came_damaged(
        self, home: Home, s3: S3Double, body: bytes
    ) -> None:
        s3.put(KEY, body or b"x")
        s3.next(corrupt(0))
        announce(home, "anna@home.example")
        await home.deliver()
        assert home.mails("anna") == []
        assert "MD5" in home.problem(KEY)
        await home.deliver()
        assert home.bodies("anna") == [b"Delivered-To: anna@home.example\r\n" + (body or b"x")]

    async def test_is_written_again_after_a_failure(
        self, home: Home, s3: S3Double, body: bytes
    ) -> None:
        s3.put(KEY, body)
        announce(home, "anna@home.example")
        home.disk.break_("sync", errno.EIO, times=1)  # type: ignore[attr-defined]
        await home.deliver()
        assert home.mails("anna") == home.drafts("anna") == []
        await home.deliver()
        assert home.bodies("anna") == [b"Delivered-To: anna@home.example\r\n" + body]

    @pytest.mark.slow
    async def test_knows_the_content_by_the_objects_own_bytes(
        self, home: Home, s3: S3Double, body: bytes
    ) -> None:
        s3.put(KEY, body)
        announce(home, "anna@home.example")
        await home.deliver()
        s3.put(KEY, body, etag="0" * 32 + "-1")
        home.announce(KEY, etag="0" * 32 + "-1")
        await home.deliver()
        assert len(home.mails("anna")) == 1
        assert home.state(KEY) == "delivered"
