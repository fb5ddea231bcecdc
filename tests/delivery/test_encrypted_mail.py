"""Mail that SES encrypted with a KMS key, from the ledger to the Maildirs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from postamt_sync.bucket import Bucket, DataKeys
from postamt_sync.delivery.courier import Courier
from postamt_sync.delivery.fetcher import SMALL
from tests.delivery.home import LONG_AGO, Home
from tests.doubles.kms import EncryptingSes, as_headers
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import cut

HEAD = b"From: a@sender.example\r\nSubject: x\r\n\r\n"
SIZES = {"small": b"mail\r\n", "large": b"mail\r\n" * (SMALL // 4)}


@pytest.fixture
async def s3() -> AsyncIterator[S3Double]:
    async with S3Double() as s3:
        yield s3


@pytest.fixture
def ses() -> EncryptingSes:
    return EncryptingSes()


@pytest.fixture
async def home(home: Home, s3: S3Double, ses: EncryptingSes) -> AsyncIterator[Home]:
    keys = DataKeys(ses.kms)
    async with Bucket(s3.bucket, s3.region, session=s3.session(), data_keys=keys) as bucket:
        home.bucket = bucket
        yield home


@pytest.mark.parametrize("body", SIZES.values(), ids=SIZES)
async def test_is_delivered_as_its_plain_text(
    home: Home, s3: S3Double, ses: EncryptingSes, body: bytes
) -> None:
    s3.put("incoming/k", **ses.stored(HEAD + body), last_modified=LONG_AGO)
    home.announce("incoming/k", "anna", "bruno")
    await home.deliver()
    assert home.bodies("anna") == home.bodies("bruno") == [HEAD + body]
    size = len(HEAD + body)
    assert f",S={size},W={size}" in home.mails("anna")[0].name


@pytest.mark.slow
@pytest.mark.parametrize("body", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("place", [10, -1], ids=["header", "tag"])
async def test_nothing_of_one_that_was_changed_is_seen(
    home: Home, s3: S3Double, ses: EncryptingSes, body: bytes, place: int
) -> None:
    stored, metadata = ses.encrypted(HEAD + body)
    changed = bytearray(stored)
    changed[place] ^= 1
    s3.put("incoming/k", bytes(changed), headers=as_headers(metadata), last_modified=LONG_AGO)
    s3.put("incoming/other", HEAD + body, last_modified=LONG_AGO)
    home.announce("incoming/k", "anna", "bruno")
    home.announce("incoming/other", "anna")
    heard: list[bytes] = []
    courier = Courier(
        home.ledger,
        home.bucket,
        lambda: home.destinations,
        home.events,
        heard=lambda _mail, _at, head: heard.append(head),
    )
    await courier.run(until_idle=True)
    assert home.state("incoming/k") == "quarantined"
    assert home.bodies("anna") == [HEAD + body]
    assert home.mails("bruno") == home.drafts("anna") == home.drafts("bruno") == []
    assert len(heard) == 1


async def test_what_kms_refuses_waits_and_holds_back_no_other(
    home: Home, s3: S3Double, ses: EncryptingSes
) -> None:
    for number in range(3):
        s3.put(f"incoming/k{number}", **ses.stored(HEAD), last_modified=LONG_AGO)
        s3.put(f"incoming/plain{number}", HEAD, last_modified=LONG_AGO)
        home.announce(f"incoming/k{number}", "anna")
        home.announce(f"incoming/plain{number}", "anna")
    ses.kms.refuses = ["AccessDeniedException"] * 3
    await home.deliver()
    assert len(home.mails("anna")) == 3
    assert "kms:Decrypt" in home.problem("incoming/k1")
    assert home.state("incoming/k1") == "waiting"
    await home.deliver()
    assert home.bodies("anna") == [HEAD] * 6


@pytest.mark.slow
async def test_a_body_that_breaks_off_starts_over(
    home: Home, s3: S3Double, ses: EncryptingSes
) -> None:
    s3.put("incoming/k", **ses.stored(HEAD + SIZES["large"]), last_modified=LONG_AGO)
    home.announce("incoming/k", "anna")
    s3.next(cut(SMALL))
    await home.deliver()
    assert home.mails("anna") == home.drafts("anna") == []
    await home.deliver()
    assert home.bodies("anna") == [HEAD + SIZES["large"]]


async def test_the_same_mail_encrypted_again_comes_once(
    home: Home, s3: S3Double, ses: EncryptingSes
) -> None:
    """By its SHA-256, which is the plain text's."""
    for _ in range(2):
        one = s3.put("incoming/k", **ses.stored(HEAD), last_modified=LONG_AGO)
        home.announce("incoming/k", "anna", etag=one.etag)
        await home.deliver()
    assert home.bodies("anna") == [HEAD]


@pytest.mark.slow
async def test_the_largest_mail(home: Home, s3: S3Double, ses: EncryptingSes) -> None:
    mail = HEAD + os.urandom((40 << 20) - len(HEAD))
    s3.put("incoming/k", **ses.stored(mail), last_modified=LONG_AGO)
    home.announce("incoming/k", "anna")
    await home.deliver()
    assert home.bodies("anna") == [mail]
