"""Mail that SES encrypted with a KMS key, read from the bucket."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from postamt_sync.bucket import Bucket, DamagedError, DataKeys, UnopenedError
from postamt_sync.errors import UndeliverableError
from tests.doubles.kms import EncryptingSes, as_headers
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import corrupt, cut

MAIL = b"Subject: x\r\n\r\n" + b"mail" * 200_000


class Reader:
    def __init__(self, s3: S3Double, bucket: Bucket, ses: EncryptingSes) -> None:
        self.s3, self.bucket, self.ses = s3, bucket, ses

    async def read(self) -> bytes:
        async with self.bucket.fetch("in/k") as fetched:
            got = b"".join([chunk async for chunk in fetched.chunks()])
            assert fetched.sha256 == hashlib.sha256(got).hexdigest()
            return got

    def put(self, mail: bytes = MAIL, **changed: Any) -> None:
        body, metadata = self.ses.encrypted(mail)
        self.put_as(body, {**metadata, **changed})

    def put_as(self, body: bytes, metadata: dict[str, str], **more: Any) -> None:
        self.s3.put("in/k", body, headers=as_headers(metadata), **more)


@pytest.fixture
async def reader(s3: S3Double) -> AsyncIterator[Reader]:
    ses = EncryptingSes()
    async with Bucket(
        "mail", "eu-west-1", session=s3.session(), data_keys=DataKeys(ses.kms)
    ) as bucket:
        yield Reader(s3, bucket, ses)


@pytest.mark.parametrize("mail", [b"", b"x", MAIL], ids=["empty", "one byte", "large"])
async def test_comes_in_plain_text(reader: Reader, mail: bytes) -> None:
    reader.put(mail)
    assert await reader.read() == mail
    assert reader.ses.kms.asked[0]["aws:ses:source-account"] == "123456789012"


async def test_kms_is_not_asked_for_plain_mail_nor_before_it_is_read(reader: Reader) -> None:
    reader.s3.put("in/k", MAIL)
    assert await reader.read() == MAIL
    reader.put()
    async with reader.bucket.fetch("in/k") as fetched:
        assert fetched.client_encrypted
    assert reader.ses.kms.asked == []


@pytest.mark.parametrize("place", [0, 14, 400_000, -17, -16, -1])
async def test_what_was_changed_in_the_bucket_never_comes(reader: Reader, place: int) -> None:
    body, metadata = reader.ses.encrypted(MAIL)
    changed = bytearray(body)
    changed[place] ^= 0x10
    reader.put_as(bytes(changed), metadata)
    with pytest.raises(UndeliverableError, match="cannot be opened"):
        await reader.read()


async def test_where_the_etag_proves_nothing_it_is_tried_again(reader: Reader) -> None:
    body, metadata = reader.ses.encrypted(MAIL)
    reader.put_as(b"\0" + body[1:], metadata, etag="0" * 32 + "-2")
    with pytest.raises(DamagedError):
        await reader.read()


@pytest.mark.parametrize("fault", [corrupt(30), cut(1_000)], ids=["changed", "cut"])
async def test_what_the_line_does_to_it_is_tried_again(reader: Reader, fault: Any) -> None:
    reader.put()
    reader.s3.next(fault)
    with pytest.raises(DamagedError):
        await reader.read()
    assert await reader.read() == MAIL


async def test_the_key_of_another_mail_opens_nothing(reader: Reader) -> None:
    body, metadata = reader.ses.encrypted(MAIL)
    _, other = reader.ses.encrypted(MAIL)
    reader.put_as(body, {**metadata, "x-amz-key-v2": other["x-amz-key-v2"]})
    with pytest.raises(UndeliverableError, match="another's"):
        await reader.read()


async def test_a_key_of_another_kms_key_is_forever_wrong(reader: Reader) -> None:
    stranger = EncryptingSes()
    body, metadata = stranger.encrypted(MAIL)
    reader.put_as(body, metadata)
    with pytest.raises(UndeliverableError, match="data key was changed"):
        await reader.read()


async def test_another_context_opens_nothing(reader: Reader) -> None:
    reader.put(**{"x-amz-matdesc": '{"aws:ses:source-account": "999999999999"}'})
    with pytest.raises(UndeliverableError, match="data key was changed"):
        await reader.read()


@pytest.mark.parametrize("length", [0, 16, 24, 31, 33, 64])
async def test_a_key_of_another_length_is_no_key_for_now(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    """KMS did not say that it will never be another."""
    reader.put()
    decrypt = reader.ses.kms.decrypt

    def odd(**asked: Any) -> Any:
        return {**decrypt(**asked), "Plaintext": b"k" * length}

    with monkeypatch.context() as patched:
        patched.setattr(reader.ses.kms, "decrypt", odd)
        with pytest.raises(UnopenedError, match=f"{length} bytes"):
            await reader.read()
    assert await reader.read() == MAIL


async def test_nor_is_an_answer_without_one(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader.put()
    monkeypatch.setattr(reader.ses.kms, "decrypt", lambda **_: {"KeyId": "k"})
    with pytest.raises(UnopenedError, match="nothing"):
        await reader.read()


async def test_an_object_that_was_stored_in_part_asks_nobody(reader: Reader) -> None:
    body, metadata = reader.ses.encrypted(MAIL)
    reader.put_as(body[:-1], metadata)
    with pytest.raises(UndeliverableError, match="not stored whole"):
        await reader.read()
    assert reader.ses.kms.asked == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-amz-cek-alg", "AES/CBC/PKCS5Padding"), ("x-amz-wrap-alg", "RSA-OAEP-SHA1")],
)
async def test_an_unknown_algorithm_is_named(reader: Reader, name: str, value: str) -> None:
    reader.put(**{name: value})
    with pytest.raises(UndeliverableError, match=value):
        await reader.read()


REFUSALS = {
    "AccessDeniedException": "kms = true",
    "ThrottlingException": "throttles",
    "DisabledException": "disabled",
    "KMSInvalidStateException": "cancel that",
    "NotFoundException": "not there",
    "KeyUnavailableException": "not available",
    "KMSInternalException": "again",
    "DependencyTimeoutException": "again",
    "ExpiredTokenException": "expired",
    "": "again",
}


@pytest.mark.parametrize("code", REFUSALS)
async def test_whatever_kms_refuses_passes(reader: Reader, code: str) -> None:
    reader.put()
    reader.ses.kms.refuses = [code]
    with pytest.raises(UnopenedError) as told:
        await reader.read()
    assert REFUSALS[code] in str(told.value)
    assert told.value.temporary
    assert told.value.hint
    assert await reader.read() == MAIL


async def test_kms_that_cannot_be_reached_passes(reader: Reader) -> None:
    reader.put()

    class Away:
        def decrypt(self, **_: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="https://kms.example")

    async with Bucket(
        "mail", "eu-west-1", session=reader.s3.session(), data_keys=DataKeys(Away())
    ) as bucket:
        reader.bucket = bucket
        with pytest.raises(UnopenedError, match="reached"):
            await reader.read()


async def test_without_kms_it_waits_and_says_for_what(reader: Reader) -> None:
    reader.put()
    async with Bucket("mail", "eu-west-1", session=reader.s3.session()) as bucket:
        reader.bucket = bucket
        with pytest.raises(UnopenedError, match="kms = true"):
            await reader.read()
