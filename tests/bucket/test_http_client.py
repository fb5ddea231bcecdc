"""The network at its worst: what is tried again at once, and what is said."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from postamt_sync.bucket import (
    AccessDeniedError,
    Bucket,
    ObjectGoneError,
)
from postamt_sync.bucket.http_client import unreachable
from postamt_sync.errors import MisconfiguredError, TryLaterError
from tests.doubles.reading import MAIL, listed, read
from tests.doubles.s3 import S3Double, session_for
from tests.doubles.s3_faults import (
    Fault,
    refuse,
    relabel,
    reset,
    send,
)

LOOPBACK = ipaddress.ip_address("127.0.0.1")

PASSING = [
    pytest.param(refuse(500, "InternalError"), id="500"),
    pytest.param(refuse(503, "SlowDown"), id="SlowDown"),
    pytest.param(refuse(400, "RequestTimeout"), id="RequestTimeout"),
    pytest.param(send(b"", 502), id="proxy"),
    pytest.param(reset(), id="reset"),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", PASSING)
async def test_passing_trouble_is_tried_again_at_once(
    s3: S3Double, bucket: Bucket, fault: Fault
) -> None:
    s3.next(fault, times=2)
    assert await read(bucket, "in/a") == MAIL
    s3.next(fault, times=2)
    assert len(await listed(bucket)) == 1


async def test_an_attempt_after_all_is_closed_is_trouble_of_the_network(s3: S3Double) -> None:
    """It waited for its turn meanwhile."""
    async with Bucket("mail", "eu-west-1", session=s3.session()) as bucket:
        pass
    with pytest.raises(TryLaterError, match="the connections are closed"):
        await read(bucket, "in/a")


@pytest.mark.slow
@pytest.mark.parametrize("fault", PASSING)
async def test_trouble_that_stays_is_left_to_the_ledger(
    s3: S3Double, bucket: Bucket, fault: Fault
) -> None:
    s3.next(fault, times=9)
    with pytest.raises(TryLaterError):
        await read(bucket, "in/a")
    # Over a new connection it is asked a second time where a kept one broke.
    assert len(s3.requests) <= 6


async def test_a_stale_connection_is_no_error(s3: S3Double, bucket: Bucket) -> None:
    for _ in range(5):
        assert await read(bucket, "in/a") == MAIL
        s3.next(reset())


async def test_what_is_not_passing_is_not_asked_twice(s3: S3Double, bucket: Bucket) -> None:
    s3.next(refuse(403, "AccessDenied"), times=9)
    with pytest.raises(AccessDeniedError):
        await read(bucket, "in/a")
    assert len(s3.requests) == 2  # the object, and whether it is there


async def test_a_refused_object_that_no_listing_has_is_gone(s3: S3Double, bucket: Bucket) -> None:
    """S3 tells it so to who may only list below a prefix."""
    for key in ("in/a", "in/gone"):
        s3.next(refuse(403, "AccessDenied"))
        with pytest.raises(AccessDeniedError if key == "in/a" else ObjectGoneError):
            await read(bucket, key)
    s3.put("in/gone-not", MAIL)
    s3.next(refuse(403, "AccessDenied"))
    with pytest.raises(ObjectGoneError):
        await read(bucket, "in/gone")


@pytest.mark.slow
@pytest.mark.parametrize(
    "listing", [refuse(403, "AccessDenied"), send(b"<html></html>"), refuse(500, "InternalError")]
)
async def test_an_object_is_not_gone_where_no_listing_can_be_had(
    s3: S3Double, bucket: Bucket, listing: Fault
) -> None:
    s3.next(refuse(403, "AccessDenied"))
    s3.next(listing, times=9)
    with pytest.raises(AccessDeniedError):
        await read(bucket, "in/gone")


async def test_a_refusal_of_any_length_is_cut(s3: S3Double, bucket: Bucket) -> None:
    long = b"<Error><Code>NoSuchKey</Code>" + b" " * 10_000_000 + b"</Error>"
    s3.next(send(long, 404))
    with pytest.raises(TryLaterError, match="404"):
        await read(bucket, "in/a")


async def test_a_redirect_is_never_followed(s3: S3Double, bucket: Bucket) -> None:
    s3.put("in/b", b"other")
    s3.next(send(b"", 307, Location=f"{s3.endpoint}/mail/in/b"))
    with pytest.raises(TryLaterError):
        await read(bucket, "in/a")
    assert len(s3.requests) == 1


async def test_keeps_to_its_connections(s3: S3Double, bucket: Bucket) -> None:
    async with bucket.fetch("in/a"), bucket.fetch("in/a"):
        pass
    for _ in range(10):
        assert await read(bucket, "in/a") == MAIL


async def test_a_session_token_is_sent_and_signed(s3: S3Double) -> None:
    s3.token = "a/session+token=="
    async with Bucket("mail", "eu-west-1", session=s3.session()) as bucket:
        assert await read(bucket, "in/a") == MAIL


async def test_a_wrong_secret_is_for_a_person(s3: S3Double) -> None:
    session = session_for(s3.endpoint, s3.access_key, "another")
    async with Bucket("mail", "eu-west-1", session=session) as bucket:
        with pytest.raises(MisconfiguredError, match="signature"):
            await read(bucket, "in/a")


async def test_an_unknown_key_is_for_a_person(s3: S3Double) -> None:
    session = session_for(s3.endpoint, "AKIAOTHER", "another")
    async with Bucket("mail", "eu-west-1", session=session) as bucket:
        with pytest.raises(MisconfiguredError, match="access key"):
            await listed(bucket)


async def test_a_wrong_region_is_named(s3: S3Double) -> None:
    async with Bucket("mail", "us-east-1", session=s3.session()) as bucket:
        with pytest.raises(MisconfiguredError, match="eu-west-1"):
            await listed(bucket)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            refuse(
                400,
                "IllegalLocationConstraintException",
                Message="The il-central-1 location constraint is incompatible for the region "
                "specific endpoint this request was sent to.",
            ),
            "not in our region but in il-central-1",
        ),
        (refuse(400, "IllegalLocationConstraintException"), "it is not in aws.region"),
        (refuse(301, "PermanentRedirect", {"x-amz-bucket-region": "sa-east-1"}), "in sa-east-1"),
        (refuse(501, "NotImplemented"), "cannot list the bucket mail"),
        (send(b"<html>Not Implemented</html>", 501), "cannot list the bucket mail"),
    ],
)
async def test_what_only_a_person_mends_is_asked_once(
    s3: S3Double, bucket: Bucket, fault: Fault, said: str
) -> None:
    s3.next(fault, times=9)
    with pytest.raises(MisconfiguredError, match=said) as told:
        await listed(bucket)
    assert told.value.exit_code == 78
    assert "<" not in str(told.value)
    assert len(s3.requests) == 1


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
                await read(bucket, "in/a")


def test_each_failure_of_the_network_has_its_sentence() -> None:
    target = ConnectionKey("s3.example", 443, True, True, None, None, None)
    certificate = ssl.SSLCertVerificationError("certificate has expired\n")
    for error, said in (
        (aiohttp.ClientConnectorDNSError(target, OSError(-2, "unknown")), "looked up"),
        (aiohttp.ClientConnectorCertificateError(target, certificate), "certificate"),
        (aiohttp.ServerTimeoutError(), "stopped answering"),
        (
            aiohttp.ClientConnectorError(target, OSError(111, "Connect call failed ('::1', 9)")),
            "failed: Connection refused.",
        ),
        (aiohttp.ServerDisconnectedError(), "failed"),
        (socket.gaierror(-2, "Name or service not known"), "looked up"),
        (certificate, "certificate"),
        (ConnectionRefusedError(111, "Connect call failed ('::1', 9)"), "Connection refused."),
        (OSError("Multiple exceptions: [Errno 111] one\n, [Errno 101] two"), "failed: Multiple"),
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
    assert await read(bucket, "in/a") == MAIL


@pytest.mark.slow
async def test_http_nonsense_is_temporary(s3: S3Double, bucket: Bucket) -> None:
    s3.next(relabel(X_Long="x" * 20_000), times=9)
    with pytest.raises(TryLaterError):
        await read(bucket, "in/a")


def server_certificate(folder: Path) -> ssl.SSLContext:
    """Make `folder`/ca.pem, a certificate for 127.0.0.1 that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    return context


@pytest.mark.slow
async def test_speaks_tls_only_with_whom_boto3_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with S3Double(tls=server_certificate(tmp_path)) as s3:
        s3.put("in/a", MAIL)
        async with Bucket("mail", "eu-west-1", session=s3.session()) as bucket:
            with pytest.raises(TryLaterError, match="certificate"):
                await read(bucket, "in/a")
        assert s3.requests == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        async with Bucket("mail", "eu-west-1", session=s3.session()) as bucket:
            assert await read(bucket, "in/a") == MAIL
