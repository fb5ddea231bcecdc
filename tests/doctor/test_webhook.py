"""Real sockets, real TLS, a real account."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.config import load
from postamt_sync.doctor.account import AwsAccount as Opened
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.webhook import CertificateCheck, SubscriptionCheck, WebhookCheck
from postamt_sync.host.service.certificate import Pair
from tests.doctor.box import Box
from tests.doubles.sns import certificate_pem, key_pem, private_key

DAY = dt.timedelta(days=1)


def one(check: Any) -> Finding:
    (found,) = check.look()
    return found


async def test_a_subscription_that_waits_for_its_confirmation(box: Box) -> None:
    webhook = load(box.config, {}).webhook
    assert webhook is not None
    aws = box.account.aws()

    def pending(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Attributes"]["PendingConfirmation"] = "true"

    hook = "after-call.sns.GetSubscriptionAttributes"
    aws.client("sns").meta.events.register(hook, pending)
    try:
        check = SubscriptionCheck(Opened(lambda: (box.stack, aws)), webhook)
        found = await asyncio.to_thread(one, check)
    finally:
        aws.client("sns").meta.events.unregister(hook, pending)
    assert found.outcome is Severity.FAILURE
    assert "not confirmed" in found.words
    assert box.stack.public_url in found.remedy


async def test_a_topic_that_is_not_there(box: Box) -> None:
    box.edit(f'topic_arn = "{box.stack.topic_arn}"', f'topic_arn = "{box.stack.topic_arn}-x"')
    failure = await box.failure("subscription")
    assert "There is no topic" in failure["words"]


async def test_a_certificate_that_ends_soon(box: Box) -> None:
    almost = time.time() + 80 * 86_400
    found = await asyncio.to_thread(one, WebhookCheck(box.stack.public_url, clock=lambda: almost))
    assert found.outcome is Severity.WARNING
    assert "expires on" in found.words
    assert "renewed" in found.remedy


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = one(WebhookCheck(f"https://localhost:{port}/sns"))
    assert found.outcome is Severity.FAILURE
    assert "router" in found.remedy


@pytest.mark.slow
def test_a_peer_that_says_nothing_is_not_waited_for() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"https://localhost:{silent.getsockname()[1]}/sns"
        found = one(WebhookCheck(url, ssl.create_default_context, 0.2))
    assert found.outcome is Severity.FAILURE
    assert "timed out" in found.words


def test_a_name_that_leads_nowhere() -> None:
    assert "A or AAAA" in one(WebhookCheck("https://nowhere.invalid/sns")).remedy


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    pair = Pair(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    pair.key.write_bytes(key_pem(private_key()))
    return pair


@pytest.mark.parametrize(
    ("ends", "outcome"),
    [(300 * DAY, Severity.OK), (3 * DAY, Severity.WARNING), (-DAY, Severity.FAILURE)],
)
def test_when_the_certificate_ends(pair: Pair, ends: dt.timedelta, outcome: Severity) -> None:
    pair.chain.write_bytes(certificate_pem(private_key(), ends=ends, name="home.example.com"))
    found = one(CertificateCheck(pair, "home.example.com"))
    assert found.outcome is outcome
    assert bool(found.remedy) is (outcome is not Severity.OK)


def test_a_certificate_for_another_name(pair: Pair) -> None:
    pair.chain.write_bytes(certificate_pem(private_key(), name="other.example.com"))
    found = one(CertificateCheck(pair, "home.example.com"))
    assert found.outcome is Severity.FAILURE
    assert "home.example.com" in found.remedy


@pytest.mark.parametrize(
    ("host", "outcome"),
    [
        ("192.0.2.7", Severity.OK),
        ("2001:DB8::0:7", Severity.OK),
        ("192.0.2.70", Severity.FAILURE),
    ],
)
def test_a_certificate_for_an_address(pair: Pair, host: str, outcome: Severity) -> None:
    addresses = ["192.0.2.7", "2001:db8::7"]
    pair.chain.write_bytes(certificate_pem(private_key(), name="x.org", addresses=addresses))
    found = one(CertificateCheck(pair, host))
    assert found.outcome is outcome
    if outcome is Severity.FAILURE:
        assert "192.0.2.7, 2001:db8::7" in found.words


def test_an_ipv6_address_without_a_port_is_asked_at_the_usual_one() -> None:
    asked: list[tuple[str, int]] = []

    class Asks(WebhookCheck):
        def _ask(self, host: str, port: int, path: str, encrypted: bool) -> Any:
            asked.append((host, port))
            return 200, None

    for url in ("https://[2001:db8::1]/sns", "http://[2001:db8::1]/sns", "https://[::1]:8443/sns"):
        one(Asks(url))
    assert asked == [("2001:db8::1", 443), ("2001:db8::1", 80), ("::1", 8443)]
