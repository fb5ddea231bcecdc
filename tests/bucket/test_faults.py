"""Answers that are not what they claim: none of their bytes is taken for mail."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import AsyncExitStack

import pytest

from postamt_sync.bucket import (
    AccessDeniedError,
    Bucket,
    ObjectChangedError,
    ObjectGoneError,
)
from postamt_sync.delivery.courier import AT_ONCE, LONG_AT_ONCE
from postamt_sync.errors import TryLaterError
from tests.doubles.reading import MAIL, listed, read
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import (
    Fault,
    corrupt,
    cut,
    declare,
    relabel,
    send,
    stall,
)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (cut(100_000), "whole: 100000 of"),
        (cut(0), "whole: 0 of"),
        (corrupt(200_000), "MD5"),
        (declare(len(MAIL) - 1), "MD5"),
        (declare(len(MAIL) + 1), f"whole: {len(MAIL)} of {len(MAIL) + 1}"),
        (relabel(ETag='"00000000000000000000000000000000"'), "MD5"),
        (relabel(ETag=""), "lacks"),
        (relabel(Last_Modified=""), "lacks"),
        (relabel(Last_Modified="yesterday"), "lacks"),
        (send(b"<html>Please log in</html>"), "lacks"),
    ],
)
async def test_bytes_that_are_not_the_objects_are_never_taken(
    s3: S3Double, bucket: Bucket, fault: Fault, said: str
) -> None:
    s3.next(fault)
    with pytest.raises(TryLaterError, match=said):
        await read(bucket, "in/a")
    assert await read(bucket, "in/a") == MAIL


async def test_a_damaged_object_has_no_hash(s3: S3Double, bucket: Bucket) -> None:
    s3.next(corrupt(5))
    async with bucket.fetch("in/a") as fetched:
        with pytest.raises(TryLaterError):
            _ = [chunk async for chunk in fetched.chunks()]
        with pytest.raises(RuntimeError):
            _ = fetched.sha256


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-server-side-encryption": "aws:kms"},
        {"x-amz-server-side-encryption": "aws:kms:dsse"},
        {"x-amz-server-side-encryption-customer-algorithm": "AES256"},
    ],
)
async def test_an_etag_that_only_looks_like_a_md5_is_not_compared(
    s3: S3Double, bucket: Bucket, headers: dict[str, str]
) -> None:
    s3.put("in/a", MAIL, etag="0" * 32, headers=headers)
    assert await read(bucket, "in/a") == MAIL


async def test_the_etag_of_a_multipart_upload_is_not_compared(s3: S3Double, bucket: Bucket) -> None:
    s3.put("in/a", MAIL, etag="0" * 32 + "-2")
    assert await read(bucket, "in/a", etag="0" * 32 + "-2") == MAIL


async def test_the_md5_is_compared_under_sse_s3(s3: S3Double, bucket: Bucket) -> None:
    s3.put("in/a", MAIL, etag="0" * 32, headers={"x-amz-server-side-encryption": "AES256"})
    with pytest.raises(TryLaterError, match="MD5"):
        await read(bucket, "in/a")


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 70_000])
async def test_a_body_that_stalls_is_given_up(s3: S3Double, at: int) -> None:
    async with Bucket("mail", "eu-west-1", session=s3.session(), stalled_after=0.2) as bucket:
        s3.next(stall(at))
        with pytest.raises(TryLaterError, match="stopped answering"):
            await read(bucket, "in/a")
        s3.next(stall(at // 1000))
        with pytest.raises(TryLaterError, match="cut off"):
            await listed(bucket)


async def test_packed_bytes_stay_packed(s3: S3Double, bucket: Bucket) -> None:
    packed = gzip.compress(b"mail")
    s3.put("in/a", packed, headers={"Content-Encoding": "gzip"})
    assert await read(bucket, "in/a") == packed
    assert s3.requests[-1]["accept-encoding"] == "identity"


async def test_a_server_that_minds_no_if_match_is_seen_through(
    s3: S3Double, bucket: Bucket
) -> None:
    s3.minds_if_match = False
    with pytest.raises(ObjectChangedError):
        await read(bucket, "in/a", etag="0" * 32)


@pytest.mark.slow
async def test_leaving_early_closes_the_connection_and_harms_nobody(
    s3: S3Double, bucket: Bucket
) -> None:
    s3.put("in/big", b"x" * 20_000_000)
    for _ in range(5):
        async with bucket.fetch("in/big") as fetched:
            async for chunk in fetched.chunks():
                assert chunk
                break
    assert await read(bucket, "in/a") == MAIL


async def test_knows_mail_that_ses_encrypted(s3: S3Double, bucket: Bucket) -> None:
    s3.put("in/v2", b"x", headers={"x-amz-meta-x-amz-key-v2": "k", "x-amz-meta-Other": "o"})
    s3.put("in/v1", b"x", headers={"X-Amz-Meta-X-Amz-Key": "k"})
    async with bucket.fetch("in/v2") as fetched:
        assert fetched.client_encrypted
        assert fetched.metadata == {"x-amz-key-v2": "k", "other": "o"}
    async with bucket.fetch("in/v1") as fetched:
        assert fetched.client_encrypted
    async with bucket.fetch("in/a") as fetched:
        assert not fetched.client_encrypted


async def test_a_restored_object_is_listed_as_such(s3: S3Double, bucket: Bucket) -> None:
    s3.put("in/b", b"x", storage_class="GLACIER", restored=True)
    assert [o.restored for o in await listed(bucket)] == [False, True]
    assert s3.requests[-1]["x-amz-optional-object-attributes"] == "RestoreStatus"
    async with bucket.fetch("in/b") as fetched:
        assert fetched.storage_class == "GLACIER"


async def test_a_listing_that_is_cut_off_is_not_believed(s3: S3Double, bucket: Bucket) -> None:
    for fault in (cut(200), send(b"<ListBucketResult>"), send(b"<html></html>")):
        s3.next(fault)
        with pytest.raises(TryLaterError, match="listing"):
            await listed(bucket)
    assert len(await listed(bucket)) == 1


async def test_an_error_that_comes_with_status_200_is_an_error(
    s3: S3Double, bucket: Bucket
) -> None:
    s3.next(send(b"<Error><Code>InternalError</Code></Error>"))
    with pytest.raises(TryLaterError, match="busy"):
        await listed(bucket)
    s3.next(send(b"<Error><Code>AccessDenied</Code></Error>"))
    with pytest.raises(AccessDeniedError):
        await listed(bucket)


async def test_a_listing_that_goes_round_in_circles_ends(s3: S3Double, bucket: Bucket) -> None:
    again = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated>"
        b"<NextContinuationToken>YQ==</NextContinuationToken>"
        b"<Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>"
    )
    s3.next(send(again), times=9)
    with pytest.raises(TryLaterError, match="order"):
        await listed(bucket)
    assert len(s3.requests) == 2


@pytest.mark.parametrize("key", ["", "x" * 1025, "ü" * 513, "lone-\ud800-surrogate"])
async def test_what_can_be_no_key_is_never_asked_for(
    s3: S3Double, bucket: Bucket, key: str
) -> None:
    with pytest.raises(ObjectGoneError):
        await read(bucket, key)
    assert s3.requests == []


@pytest.mark.parametrize("etag", ["", 'a"b', "a\r\nX-Evil: 1", "a b", "\u00e9"])
async def test_what_can_be_no_etag_never_becomes_a_header(
    s3: S3Double, bucket: Bucket, etag: str
) -> None:
    with pytest.raises(ObjectChangedError):
        await read(bucket, "in/a", etag)
    assert s3.requests == []


async def test_an_unreadable_key_is_counted(s3: S3Double, bucket: Bucket) -> None:
    odd = b"<Contents><Key>b%FF</Key><Size>1</Size></Contents>"
    about = b"<ListBucketResult><EncodingType>url</EncodingType>"
    s3.next(send(about + odd + b"</ListBucketResult>"))
    assert await listed(bucket) == []
    assert bucket.unreadable == 1


async def test_s3_itself_is_asked_to_mind_the_etag(s3: S3Double, bucket: Bucket) -> None:
    etag = s3.put("in/a", MAIL).etag
    assert await read(bucket, "in/a", etag) == MAIL
    assert s3.requests[-1]["if-match"] == f'"{etag}"'
    assert await read(bucket, "in/a") == MAIL
    assert "if-match" not in s3.requests[-1]


async def test_a_page_of_a_listing_that_does_not_end_is_given_up(s3: S3Double) -> None:
    async with Bucket("mail", "eu-west-1", session=s3.session(), longest_page=0.2) as bucket:
        s3.next(stall(10))
        with pytest.raises(TryLaterError, match="does not end"):
            await listed(bucket)


@pytest.mark.slow
async def test_a_listing_waits_for_no_mail(s3: S3Double) -> None:
    """A limit may hold back as many mails as are fetched at once, for hours."""
    async with (
        Bucket("mail", "eu-west-1", session=s3.session()) as bucket,
        AsyncExitStack() as mails,
    ):
        for _ in range(AT_ONCE + LONG_AT_ONCE):
            await mails.enter_async_context(bucket.fetch("in/a"))
        async with asyncio.timeout(5):
            assert await listed(bucket, "in/")
