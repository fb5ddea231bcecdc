"""Which certificate addresses are believed, and what downloading one can meet."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import threading
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.intake.certificate_store import FILE_NAME, CertificateStore
from postamt_sync.intake.sns_certificates import (
    DOWNLOADS_OF_ALL_PEERS,
    DOWNLOADS_PER_MINUTE,
    FAILURE_SECONDS,
    KEPT,
    LARGEST_PEM,
    Certificates,
    emulator_endpoint,
)
from postamt_sync.intake.sns_message import ForgedError
from tests.doubles.clock import Clock
from tests.doubles.inbox import MemoryLog
from tests.doubles.proxy import proxy_to
from tests.doubles.sns import (
    AWS_URL,
    PEM_PATH,
    TOPIC,
    certificate_pem,
    private_key,
    serving_certificate,
)

DAY = dt.timedelta(days=1)
PATH = "/SimpleNotificationService-0123456789abcdef0123456789abcde%x.pem"


@pytest.fixture
async def server():
    async with serving_certificate(certificate_pem(private_key())) as double:
        yield double


@pytest.fixture
def through_proxy(monkeypatch):
    """Use a proxy for HTTP and HTTPS, whatever this machine is set to."""

    def use(url):
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.delenv(name.upper(), raising=False)
            monkeypatch.setenv(name, url)
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)

    return use


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def certificates(server, clock):
    made = Certificates(TOPIC, endpoint=server.origin, clock=clock)
    yield made
    await made.close()


FOREIGN = [
    AWS_URL.replace("https", "http"),
    AWS_URL.replace("eu-west-1", "eu-west-2"),
    AWS_URL.replace("sns.", "sns-"),
    AWS_URL.replace("sns.eu-west-1", "sns.eu-west-1.evil"),
    AWS_URL.replace("amazonaws.com", "amazonaws.com.evil.example"),
    AWS_URL.replace("amazonaws.com", "amazonaws.com.cn"),
    AWS_URL.replace("amazonaws.com", "amazonaws.com."),
    AWS_URL.replace("amazonaws.com", "amazonawsxcom"),
    AWS_URL.replace("amazonaws.com/", "amazonaws.com:443/"),
    AWS_URL.replace("amazonaws.com/", "amazonaws.com:8443/"),
    AWS_URL.replace("https://", "https://user@"),
    AWS_URL.replace("https://", "https://evil.example@"),
    AWS_URL.replace("https://", "https://evil.example/"),
    AWS_URL.replace("https://", "https://evil.example\\@"),
    AWS_URL + "?x=1",
    AWS_URL + "#x",
    AWS_URL + "/",
    AWS_URL + "\n",
    " " + AWS_URL,
    AWS_URL.replace(".pem", ".PEM"),
    AWS_URL.replace(".pem", "0.pem"),
    AWS_URL.replace("cdef.pem", "cde.pem"),
    AWS_URL.replace("cdef.pem", "cdeg.pem"),
    AWS_URL.replace("cdef.pem", "CDEF.pem"),
    AWS_URL.replace("0123", "٠١٢٣"),
    AWS_URL.replace("/Simple", "//Simple"),
    AWS_URL.replace("/Simple", "/a/Simple"),
    AWS_URL.replace("/Simple", "/../Simple"),
    "https://sns.eu-west-1.amazonaws.com/",
    "https://s3.eu-west-1.amazonaws.com/sns.eu-west-1.amazonaws.com" + PEM_PATH,
    "https://sns.eu-west-1.s3.amazonaws.com" + PEM_PATH,
    "https://sns.s3.eu-west-1.amazonaws.com" + PEM_PATH,
    "http://127.0.0.1:1" + PEM_PATH,
    "http://169.254.169.254" + PEM_PATH,
    "https://sns.eu-west-1.amazonaws.com/_aws/sns" + PEM_PATH,
    "http://127.0.0.1:1/_aws/sns" + PEM_PATH,
    "http://localhost.localstack.cloud:4566/_aws/sns" + PEM_PATH,
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("url", FOREIGN)
async def test_other_addresses_are_forgeries_and_nothing_is_fetched(url, certificates, server):
    with pytest.raises(ForgedError):
        await certificates.key(url)
    assert server.asked == []


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        (TOPIC, "sns.eu-west-1.amazonaws.com"),
        ("arn:aws-cn:sns:cn-north-1:1:t", "sns.cn-north-1.amazonaws.com.cn"),
    ],
)
async def test_sns_of_the_topics_region_through_proxy_and_ca_bundle(
    topic, name, tmp_path, through_proxy
):
    async with proxy_to(name, certificate_pem(private_key()), tmp_path) as proxy:
        through_proxy(proxy.url)
        certificates = Certificates(topic, ca_bundle=str(proxy.ca_bundle))
        assert await certificates.key(f"https://{name}{PEM_PATH}") == private_key().public_key()
        assert proxy.asked == [f"{name}:443"]
        assert proxy.server.asked == [PEM_PATH]


async def test_a_server_that_nobody_vouches_for_is_our_trouble(tmp_path, through_proxy):
    name = "sns.eu-west-1.amazonaws.com"
    async with proxy_to(name, certificate_pem(private_key()), tmp_path) as proxy:
        through_proxy(proxy.url)
        with pytest.raises(TryLaterError, match="could not be fetched"):
            await Certificates(TOPIC).key(AWS_URL)
        assert proxy.server.asked == []


async def test_a_missing_ca_bundle_is_said(tmp_path):
    certificates = Certificates(TOPIC, ca_bundle=str(tmp_path / "none.pem"))
    with pytest.raises(MisconfiguredError, match="AWS_CA_BUNDLE"):
        await certificates.key(AWS_URL)


async def test_a_certificate_is_fetched_once(certificates, server):
    for _ in range(3):
        assert await certificates.key(server.url) == private_key().public_key()
    assert server.asked == [PEM_PATH]


async def test_downloads_of_one_address_are_shared(certificates, server):
    keys = await asyncio.gather(*(certificates.key(server.url) for _ in range(50)))
    assert len(keys) == 50
    assert server.asked == [PEM_PATH]


async def test_who_hangs_up_does_not_take_the_certificate_from_the_others(certificates, server):
    first = asyncio.create_task(certificates.key(server.url))
    second = asyncio.create_task(certificates.key(server.url))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == private_key().public_key()
    assert server.asked == [PEM_PATH]


async def test_no_proxy_for_the_emulator(certificates, server, through_proxy):
    through_proxy("http://127.0.0.1:1")
    assert await certificates.key(server.url)


async def test_an_emulator_may_keep_its_certificate_below_aws(certificates, server):
    url = f"{server.origin}/_aws/sns{PEM_PATH}"
    assert await certificates.key(url) == private_key().public_key()
    for path in ("/_aws/sqs", "/_aws", "/_aws/sns/x", "/x/_aws/sns", "/_aws/sns/_aws/sns"):
        with pytest.raises(ForgedError):
            await certificates.key(f"{server.origin}{path}{PEM_PATH}")


async def test_below_aws_nobody_else_is_believed():
    alone = Certificates(TOPIC)
    for origin in ("http://127.0.0.1:4566", "http://localhost:4566", "https://10.0.0.1"):
        with pytest.raises(ForgedError):
            await alone.key(f"{origin}/_aws/sns{PEM_PATH}")
    assert emulator_endpoint({"AWS_ENDPOINT_URL": "http://10.0.0.1:4566"}) is None


async def test_rotation_brings_a_new_address(certificates, server):
    await certificates.key(server.url)
    server.pem = certificate_pem(private_key(1))
    assert await certificates.key(server.origin + PATH % 1) == private_key(1).public_key()
    assert await certificates.key(server.url) == private_key().public_key()


async def test_only_so_many_are_kept_and_the_latest_used_stay(certificates, server, clock):
    await certificates.key(server.origin + PATH % 0)
    for number in range(1, KEPT + 1):
        await certificates.key(server.origin + PATH % 0)
        await certificates.key(server.origin + PATH % number)
    asked = len(server.asked)
    await certificates.key(server.origin + PATH % 0)
    assert len(server.asked) == asked
    clock.now += 60
    await certificates.key(server.origin + PATH % 1)
    assert len(server.asked) == asked + 1


async def test_a_redirect_is_not_followed(certificates, server):
    server.status = 302
    server.headers = {"Location": server.origin + PATH % 7}
    with pytest.raises(TryLaterError, match="302"):
        await certificates.key(server.url)
    assert server.asked == [PEM_PATH]


@pytest.mark.parametrize("status", [201, 403, 404, 500, 503])
async def test_any_other_answer_is_no_certificate(status, certificates, server):
    server.status = status
    with pytest.raises(TryLaterError, match=str(status)):
        await certificates.key(server.url)


NO_CERTIFICATES = {
    "empty": lambda: b"",
    "garbage": lambda: b"\x00\xff" * 500,
    "broken": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    "too large": lambda: certificate_pem(private_key()) + b"\n" * LARGEST_PEM,
    "not RSA": lambda: certificate_pem(ed25519.Ed25519PrivateKey.generate()),
    "weak": lambda: certificate_pem(private_key(0, 1024)),
}


@pytest.mark.parametrize("what", NO_CERTIFICATES)
async def test_what_is_no_certificate_is_our_trouble(what, certificates, server):
    server.pem = NO_CERTIFICATES[what]()
    with pytest.raises(TryLaterError, match="could not be fetched"):
        await certificates.key(server.url)


async def test_no_server_is_our_trouble():
    certificates = Certificates(TOPIC, endpoint="http://127.0.0.1:1")
    with pytest.raises(TryLaterError, match="could not be fetched"):
        await certificates.key("http://127.0.0.1:1" + PEM_PATH)


async def test_a_failure_is_remembered_a_short_while(certificates, server, clock):
    server.status = 500
    for _ in range(5):
        with pytest.raises(TryLaterError):
            await certificates.key(server.url)
    assert len(server.asked) == 1
    server.status = 200
    clock.now += FAILURE_SECONDS
    assert await certificates.key(server.url)


async def test_a_stranger_cannot_make_us_download_without_end(certificates, server, clock):
    server.status = 404
    refused = 0
    for number in range(DOWNLOADS_PER_MINUTE * 3):
        url = server.origin + f"/SimpleNotificationService-{number:032x}.pem"
        with pytest.raises(TryLaterError) as caught:
            await certificates.key(url)
        refused += "Too many" in caught.value.problem
    assert len(server.asked) == DOWNLOADS_PER_MINUTE
    assert refused == DOWNLOADS_PER_MINUTE * 2
    server.status = 200
    clock.now += 60 / DOWNLOADS_PER_MINUTE + 0.1
    assert await certificates.key(server.url)


async def test_what_is_kept_needs_no_allowance(certificates, server):
    await certificates.key(server.url)
    server.status = 404
    for number in range(DOWNLOADS_PER_MINUTE * 2):
        with pytest.raises(TryLaterError):
            await certificates.key(server.origin + f"/SimpleNotificationService-{number:032x}.pem")
    assert await certificates.key(server.url)


@pytest.mark.parametrize(("begins", "ends"), [(-400 * DAY, -1 * DAY), (1 * DAY, 300 * DAY)])
async def test_a_certificate_out_of_its_time_is_not_used(begins, ends, certificates, server):
    server.pem = certificate_pem(private_key(), begins, ends)
    with pytest.raises(TryLaterError, match="clock"):
        await certificates.key(server.url)


async def test_a_clock_without_battery_is_our_trouble(server):
    certificates = Certificates(TOPIC, endpoint=server.origin, wall=lambda: 0.0)
    with pytest.raises(TryLaterError, match="1970-01-01 00:00 UTC"):
        await certificates.key(server.url)


async def test_validity_is_looked_at_on_each_use(server, clock):
    wall = Clock(dt.datetime.now(dt.UTC).timestamp())
    certificates = Certificates(TOPIC, endpoint=server.origin, wall=wall, clock=clock)
    await certificates.key(server.url)
    wall.now += 400 * 86400
    with pytest.raises(TryLaterError, match="clock"):
        await certificates.key(server.url)
    wall.now -= 400 * 86400
    assert await certificates.key(server.url)


@asynccontextmanager
async def stalling(said=b""):
    """Serve one who says this much of an answer and then no more; yield origin and first call."""
    asked = asyncio.Event()

    async def stall(reader, writer):
        writer.write(said)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n-----BEGIN"]
)
async def test_a_download_that_stalls_is_given_up(said):
    async with stalling(said) as (origin, _):
        certificates = Certificates(TOPIC, endpoint=origin, download_seconds=0.1)
        with pytest.raises(TryLaterError, match="could not be fetched") as caught:
            async with asyncio.timeout(30):
                await certificates.key(origin + PEM_PATH)
        assert "no answer within 0.1 s" in caught.value.hint


async def test_closing_breaks_off_a_download():
    async with stalling() as (origin, asked):
        certificates = Certificates(TOPIC, endpoint=origin)
        waiting = asyncio.create_task(certificates.key(origin + PEM_PATH))
        await asked.wait()
        await certificates.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, None),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:5000/"}, "http://127.0.0.1:5000"),
        ({"AWS_ENDPOINT_URL": "https://localhost:4566"}, "https://localhost:4566"),
        ({"AWS_ENDPOINT_URL": "http://[::1]:5000/x"}, "http://[::1]:5000"),
        (
            {
                "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
                "AWS_ENDPOINT_URL_SNS": "http://127.0.0.1:2",
            },
            "http://127.0.0.1:2",
        ),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_SNS": "https://vpce.x"},
            None,
        ),
        (
            {
                "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
                "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            },
            None,
        ),
        ({"AWS_ENDPOINT_URL": "http://10.0.0.1:5000"}, None),
        ({"AWS_ENDPOINT_URL": "http://0.0.0.0:5000"}, None),
        ({"AWS_ENDPOINT_URL": "http://localhost.evil.example"}, None),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1@evil.example"}, None),
        ({"AWS_ENDPOINT_URL": "http://user@127.0.0.1:5000"}, None),
        ({"AWS_ENDPOINT_URL": "ftp://127.0.0.1"}, None),
        ({"AWS_ENDPOINT_URL": "http://[::1"}, None),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:5000"}, None),
    ],
)
def test_only_a_loopback_endpoint_is_an_emulator(environ, endpoint):
    assert emulator_endpoint(environ) == endpoint


@pytest.mark.parametrize("path", ["/x.pem", PEM_PATH + "?x", "/" + PEM_PATH, PEM_PATH + "/../x"])
async def test_the_emulators_path_has_the_same_form(path, certificates, server):
    with pytest.raises(ForgedError):
        await certificates.key(server.origin + path)
    assert server.asked == []


# Who pays for a download


def unknown(server, number: int) -> str:
    return server.origin + f"/SimpleNotificationService-{number:032x}.pem"


@pytest.mark.parametrize("mine", ["198.51.100.1", ""])
async def test_what_one_peer_names_takes_nothing_from_another(certificates, server, mine):
    server.status = 404
    for number in range(DOWNLOADS_PER_MINUTE * 10):
        with pytest.raises(TryLaterError):
            await certificates.key(unknown(server, number), "192.0.2.6")
    assert len(server.asked) == DOWNLOADS_PER_MINUTE
    server.status = 200
    assert await certificates.key(server.url, mine)


@pytest.mark.slow
async def test_peers_without_number_leave_the_queues_theirs(certificates, server):
    server.status = 404
    for number in range(DOWNLOADS_OF_ALL_PEERS * 2):
        with pytest.raises(TryLaterError):
            await certificates.key(unknown(server, number), f"peer {number}")
    assert len(server.asked) == DOWNLOADS_OF_ALL_PEERS
    server.status = 200
    assert await certificates.key(server.url)


# What proved good


def remembering(server, directory, log=None):
    store = CertificateStore(directory, Events(log or MemoryLog()))
    return Certificates(TOPIC, endpoint=server.origin, store=store)


async def test_what_proved_good_is_known_after_a_restart_without_a_download(server, tmp_path):
    before = remembering(server, tmp_path)
    key = await before.key(server.url)
    before.proved_good(server.url)
    await before.close()
    server.status = 404
    asked = len(server.asked)
    assert await remembering(server, tmp_path).key(server.url) == key
    assert len(server.asked) == asked


class SlowDisk(CertificateStore):
    """Takes a file when it is told to."""

    def __init__(self, directory):
        super().__init__(directory, Events(MemoryLog()))
        self.begun, self.ready = threading.Event(), threading.Event()

    def write(self, kept):
        self.begun.set()
        assert self.ready.wait(60)
        super().write(kept)


async def test_no_answer_waits_until_a_certificate_is_in_its_file(server, tmp_path):
    disk = SlowDisk(tmp_path)
    certificates = Certificates(TOPIC, endpoint=server.origin, store=disk)
    await certificates.key(server.url)
    certificates.proved_good(server.url)
    await asyncio.to_thread(disk.begun.wait, 60)
    assert await certificates.key(server.url)
    disk.ready.set()
    await certificates.close()
    assert server.url in (tmp_path / FILE_NAME).read_text()


async def test_what_was_only_fetched_is_not_remembered(server, tmp_path):
    before = remembering(server, tmp_path)
    await before.key(server.url)
    before.proved_good(server.origin + PATH % 1)
    await before.close()
    assert list(tmp_path.iterdir()) == []


async def test_what_proved_good_is_displaced_by_no_stranger(server, tmp_path):
    certificates = remembering(server, tmp_path)
    await certificates.key(server.url)
    certificates.proved_good(server.url)
    for number in range(KEPT * 3):
        await certificates.key(unknown(server, number), f"peer {number}")
    server.status = 404
    assert await certificates.key(server.url)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"null", b"[1]", b'{"a": 1}', b"\xff\xfe", b"[" * 100_000, b'{"x": "\\ud800"}'],
)
async def test_a_damaged_file_is_as_none(server, tmp_path, damage):
    (tmp_path / FILE_NAME).write_bytes(damage)
    certificates = remembering(server, tmp_path)
    assert await certificates.key(server.url)
    certificates.proved_good(server.url)
    await certificates.close()
    assert server.url in (tmp_path / FILE_NAME).read_text()


async def test_what_stands_in_the_file_is_believed_no_further_than_what_is_fetched(
    server, tmp_path
):
    ends = certificate_pem(private_key(1), -400 * DAY, -1 * DAY).decode()
    foreign = certificate_pem(private_key(1)).decode()
    kept = {server.url: ends, FOREIGN[0]: foreign, server.origin + PATH % 1: "no certificate"}
    (tmp_path / FILE_NAME).write_text(json.dumps(kept))
    certificates = remembering(server, tmp_path)
    assert await certificates.key(server.url) == private_key().public_key(), "fetched again"
    certificates.proved_good(server.url)
    await certificates.close()
    again = remembering(server, tmp_path)
    asked = len(server.asked)
    assert await again.key(server.url) == private_key().public_key()
    assert len(server.asked) == asked
    with pytest.raises(ForgedError):
        await certificates.key(FOREIGN[0])


async def test_a_file_that_cannot_be_written_is_said_and_harms_nothing(server, tmp_path):
    log = MemoryLog()
    certificates = remembering(server, tmp_path / "nowhere", log)
    await certificates.key(server.url)
    certificates.proved_good(server.url)
    await certificates.close()
    assert await certificates.key(server.url)
    assert log.events("error") == ["certificates cannot be kept"]
