"""The network and S3 at their worst: what is tried again at once, and what is said."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from postamt_sync.bucket import (
    AccessDeniedError,
    Bucket,
    Listed,
    ObjectChangedError,
    ObjectGoneError,
)
from postamt_sync.bucket.lane import unreachable
from postamt_sync.errors import MisconfiguredError, TryLaterError
from tests.doubles.s3 import S3Double, session_for
from tests.doubles.s3_faults import (
    Fault,
    corrupt,
    cut,
    declare,
    refuse,
    relabel,
    reset,
    send,
    stall,
)

BODY = b"From: a\r\n\r\n" + b"x" * 300_000


@pytest.fixture
async def s3() -> AsyncIterator[S3Double]:
    async with S3Double() as s3:
        s3.put("in/a", BODY)
        yield s3


@pytest.fixture
async def bucket(s3: S3Double) -> AsyncIterator[Bucket]:
    async with Bucket("mail", "eu-west-1", session=s3.session(), connections=2) as bucket:
        yield bucket


async def read(bucket: Bucket, key: str = "in/a", etag: str | None = None) -> bytes:
    async with bucket.fetch(key, etag=etag) as fetched:
        return b"".join([chunk async for chunk in fetched.chunks()])


async def listed(bucket: Bucket) -> list[Listed]:
    return [o async for page in bucket.pages("") for o in page]


PASSING = [
    pytest.param(refuse(500, "InternalError"), id="500"),
    pytest.param(refuse(503, "SlowDown"), id="SlowDown"),
    pytest.param(refuse(400, "RequestTimeout"), id="RequestTimeout"),
    pytest.param(send(b"", 502), id="proxy"),
    pytest.param(reset(), id="reset"),
]


@pytest.mark.parametrize("fault", PASSING)
async def test_passing_trouble_is_tried_again_at_once(
    s3: S3Double, bucket: Bucket, fault: Fault
) -> None:
    s3.next(fault, times=2)
    assert await read(bucket) == BODY
    s3.next(fault, times=2)
    assert len(await listed(bucket)) == 1


@pytest.mark.parametrize("fault", PASSING)
async def test_trouble_that_stays_is_left_to_the_ledger(
    s3: S3Double, bucket: Bucket, fault: Fault
) -> None:
    s3.next(fault, times=9)
    with pytest.raises(TryLaterError):
        await read(bucket)
    # aiohttp itself asks a second time where a connection broke.
    assert len(s3.requests) <= 6


async def test_a_stale_connection_is_no_error(s3: S3Double, bucket: Bucket) -> None:
    for _ in range(5):
        assert await read(bucket) == BODY
        s3.next(reset())


async def test_what_is_not_passing_is_not_asked_twice(s3: S3Double, bucket: Bucket) -> None:
    s3.next(refuse(403, "AccessDenied"), times=9)
    with pytest.raises(AccessDeniedError):
        await read(bucket)
    assert len(s3.requests) == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (cut(100_000), "100000 of"),
        (cut(0), "0 of"),
        (corrupt(200_000), "MD5"),
        (declare(len(BODY) - 1), "MD5"),
        (declare(len(BODY) + 1), f"{len(BODY)} of {len(BODY) + 1}"),
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
        await read(bucket)
    assert await read(bucket) == BODY


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
    s3.put("in/a", BODY, etag="0" * 32, headers=headers)
    assert await read(bucket) == BODY


async def test_the_etag_of_a_multipart_upload_is_not_compared(s3: S3Double, bucket: Bucket) -> None:
    s3.put("in/a", BODY, etag="0" * 32 + "-2")
    assert await read(bucket, etag="0" * 32 + "-2") == BODY


async def test_the_md5_is_compared_under_sse_s3(s3: S3Double, bucket: Bucket) -> None:
    s3.put("in/a", BODY, etag="0" * 32, headers={"x-amz-server-side-encryption": "AES256"})
    with pytest.raises(TryLaterError, match="MD5"):
        await read(bucket)


@pytest.mark.parametrize("at", [0, 70_000])
async def test_a_body_that_stalls_is_given_up(s3: S3Double, at: int) -> None:
    async with Bucket("mail", "eu-west-1", session=s3.session(), stalled_after=0.2) as bucket:
        s3.next(stall(at))
        with pytest.raises(TryLaterError, match="stopped answering"):
            await read(bucket)
        s3.next(stall(at // 1000))
        with pytest.raises(TryLaterError, match="cut off"):
            await listed(bucket)


async def test_packed_bytes_stay_packed(s3: S3Double, bucket: Bucket) -> None:
    packed = gzip.compress(b"mail")
    s3.put("in/a", packed, headers={"Content-Encoding": "gzip"})
    assert await read(bucket) == packed
    assert s3.requests[-1]["accept-encoding"] == "identity"


async def test_a_server_that_minds_no_if_match_is_seen_through(
    s3: S3Double, bucket: Bucket
) -> None:
    s3.minds_if_match = False
    with pytest.raises(ObjectChangedError):
        await read(bucket, etag="0" * 32)


async def test_leaving_early_closes_the_connection_and_harms_nobody(
    s3: S3Double, bucket: Bucket
) -> None:
    s3.put("in/big", b"x" * 20_000_000)
    for _ in range(5):
        async with bucket.fetch("in/big") as fetched:
            async for chunk in fetched.chunks():
                assert chunk
                break
    assert await read(bucket) == BODY


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


async def test_a_refusal_of_any_length_is_cut(s3: S3Double, bucket: Bucket) -> None:
    long = b"<Error><Code>NoSuchKey</Code>" + b" " * 10_000_000 + b"</Error>"
    s3.next(send(long, 404))
    with pytest.raises(TryLaterError, match="404"):
        await read(bucket)


async def test_a_redirect_is_never_followed(s3: S3Double, bucket: Bucket) -> None:
    s3.put("in/b", b"other")
    s3.next(send(b"", 307, Location=f"{s3.endpoint}/mail/in/b"))
    with pytest.raises(TryLaterError):
        await read(bucket)
    assert len(s3.requests) == 1


async def test_keeps_to_its_connections(s3: S3Double, bucket: Bucket) -> None:
    async with bucket.fetch("in/a"), bucket.fetch("in/a"):
        pass
    for _ in range(10):
        assert await read(bucket) == BODY


async def test_a_session_token_is_sent_and_signed(s3: S3Double) -> None:
    s3.token = "a/session+token=="
    async with Bucket("mail", "eu-west-1", session=s3.session()) as bucket:
        assert await read(bucket) == BODY


async def test_a_wrong_secret_is_for_a_person(s3: S3Double) -> None:
    session = session_for(s3.endpoint, s3.access_key, "another")
    async with Bucket("mail", "eu-west-1", session=session) as bucket:
        with pytest.raises(MisconfiguredError, match="signature"):
            await read(bucket)


async def test_an_unknown_key_is_for_a_person(s3: S3Double) -> None:
    session = session_for(s3.endpoint, "AKIAOTHER", "another")
    async with Bucket("mail", "eu-west-1", session=session) as bucket:
        with pytest.raises(MisconfiguredError, match="access key"):
            await listed(bucket)


async def test_a_wrong_region_is_named(s3: S3Double) -> None:
    async with Bucket("mail", "us-east-1", session=s3.session()) as bucket:
        with pytest.raises(MisconfiguredError, match="eu-west-1"):
            await listed(bucket)


async def test_a_clock_that_is_off_is_named(s3: S3Double, bucket: Bucket) -> None:
    s3.clock_ahead = 5 * 3600
    with pytest.raises(TryLaterError, match="5 hours slow"):
        await listed(bucket)


async def test_no_network_is_temporary() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        session = session_for(f"http://127.0.0.1:{taken.getsockname()[1]}", "AKIA", "s")
        async with Bucket("mail", "eu-west-1", session=session) as bucket:
            with pytest.raises(TryLaterError, match="failed"):
                await read(bucket)


def test_each_failure_of_the_network_has_its_sentence() -> None:
    target = ConnectionKey("s3.example", 443, True, True, None, None, None)
    certificate = ssl.SSLCertVerificationError("certificate has expired\n")
    for error, said in (
        (aiohttp.ClientConnectorDNSError(target, OSError(-2, "unknown")), "looked up"),
        (aiohttp.ClientConnectorCertificateError(target, certificate), "certificate"),
        (aiohttp.ServerTimeoutError(), "stopped answering"),
        (aiohttp.ServerDisconnectedError(), "failed"),
        (ConnectionResetError(), "ConnectionResetError"),
    ):
        failure = unreachable("s3.example", error)
        assert said in failure.problem
        assert failure.hint
        assert str(failure).isprintable()


async def test_goes_through_the_proxy(s3: S3Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", s3.endpoint.replace("//", "//user:pa%40ss@"))
    monkeypatch.setenv("no_proxy", "")
    s3.next(refuse(404, "NoSuchKey"))
    session = session_for("http://s3.invalid", s3.access_key, s3.secret_key)
    async with Bucket("mail", "eu-west-1", session=session) as bucket:
        with pytest.raises(ObjectGoneError):
            await read(bucket, "in/../a")
    assert s3.targets == ["http://s3.invalid/mail/in/../a"]
    assert s3.requests[0]["proxy-authorization"] == "Basic dXNlcjpwYUBzcw=="
    assert s3.requests[0]["host"] == "s3.invalid"


async def test_netrc_has_no_say(
    s3: S3Double, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert await read(bucket) == BODY


async def test_http_nonsense_is_temporary(s3: S3Double, bucket: Bucket) -> None:
    s3.next(relabel(X_Long="x" * 20_000), times=9)
    with pytest.raises(TryLaterError):
        await read(bucket)
