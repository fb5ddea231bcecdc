"""The webhook from the socket to the ledger: what gets which answer."""

from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import json
import socket
import struct

import aiohttp
import pytest

from postamt_sync.errors import TryLaterError
from postamt_sync.http.connection import Limits
from postamt_sync.intake.notifications import NotificationOutcome
from postamt_sync.intake.webhook import LARGEST_BODY, REASONS_KEPT, WebhookTally
from postamt_sync.mail.arrival import Source
from tests.doubles.scene import until
from tests.doubles.sns import (
    TEST_EVENT,
    TOPIC,
    body,
    certificate_pem,
    private_key,
    receipt,
    s3_event,
)
from tests.doubles.webhook import PATH, webhook_at_home


@pytest.fixture
async def home():
    async with webhook_at_home() as made:
        yield made


# What is true


async def test_a_true_notification_is_stored(home):
    assert await home.post(home.signer().notification(receipt())) == (200, "stored")
    assert home.inbox.arrivals[0].source is Source.WEBHOOK
    assert home.webhook.tally.taken == {NotificationOutcome.STORED: 1}


async def test_the_headers_of_sns_agree(home):
    headers = {
        "x-amz-sns-message-type": "Notification",
        "x-amz-sns-message-id": "1",
        "x-amz-sns-topic-arn": TOPIC,
        "x-amz-sns-subscription-arn": f"{TOPIC}:1",
        "Content-Type": "application/json",
    }
    assert (await home.post(home.signer().notification(receipt()), headers))[0] == 200


async def test_an_announcement_that_comes_again_is_known(home):
    signed = home.signer().notification(receipt())
    assert [(await home.post(signed))[1] for _ in range(3)] == ["stored", "known", "known"]


async def test_a_test_event_and_the_not_understood_are_answered_200(home):
    assert await home.post(home.signer().notification(TEST_EVENT)) == (200, "test event")
    assert await home.post(home.signer().notification("hello")) == (200, "not understood")
    assert len(home.inbox.notifications) == len(home.polls) == 1


async def test_confirmations_go_to_the_subscriber_and_not_to_the_inbox(home):
    assert await home.post(home.signer().confirmation("abc")) == (200, "confirmed")
    assert home.subscriber.tokens == ["abc"]
    assert await home.post(home.signer().unsubscription()) == (200, "unsubscribed")
    assert home.subscriber.ended == 1
    assert home.inbox.empty


async def test_200_only_after_the_ledger_has_it(home):
    entered, release = asyncio.Event(), asyncio.Event()
    record = home.inbox.record

    async def slow_record(arrivals):
        entered.set()
        await release.wait()
        return await record(arrivals)

    home.inbox.record = slow_record
    posting = asyncio.create_task(home.post(home.signer().notification(receipt())))
    await entered.wait()
    done, _ = await asyncio.wait([posting], timeout=0.05)
    assert not done
    release.set()
    assert await posting == (200, "stored")


# Our own trouble


@pytest.mark.parametrize(
    "spoil",
    [
        {"status": 500},
        {"status": 404},
        {"status": 302, "headers": {"Location": "/x"}},
        {"pem": b"garbage"},
        {"pem": b"x" * 1_000_000},
    ],
)
async def test_a_certificate_that_cannot_be_had_is_our_trouble(home, spoil):
    for name, value in spoil.items():
        setattr(home.aws, name, value)
    answer, reason = await home.post(home.signer().notification(receipt()))
    assert answer == 503
    assert "certificate" in reason
    assert home.inbox.empty
    assert len(home.aws.asked) == 1


async def test_a_certificate_out_of_its_time_is_our_trouble(home):
    day = dt.timedelta(days=1)
    home.aws.pem = certificate_pem(private_key(), -400 * day, -day)
    answer, reason = await home.post(home.signer().notification(receipt()))
    assert answer == 503
    assert "clock" in reason
    assert home.inbox.empty


async def test_a_ledger_in_trouble_is_ours(home):
    home.inbox.trouble = TryLaterError("The disk is full.", "Make room.")
    assert await home.post(home.signer().notification(receipt())) == (503, "The disk is full.")
    home.inbox.trouble = None
    assert (await home.post(home.signer().notification(receipt())))[0] == 200


async def test_a_fault_of_ours_is_told_from_a_refusal(home):
    home.inbox.trouble = RuntimeError("a bug")
    assert (await home.post(home.signer().notification(receipt())))[0] == 503
    assert home.log.events("error") == ["cannot answer a request"]


async def test_a_confirmation_that_fails_for_now(home):
    home.subscriber.trouble = TryLaterError("AWS is slow.")
    assert (await home.post(home.signer().confirmation()))[0] == 503


# Bodies


@pytest.mark.slow
async def test_nothing_is_inflated(home):
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < LARGEST_BODY
    answer, _ = await home.post(bomb, {"Content-Encoding": "gzip"})
    assert answer == 400


async def test_the_largest_body_passes_and_one_byte_more_does_not(home):
    fits = body(home.signer().notification(receipt())).ljust(LARGEST_BODY)
    assert (await home.post(fits))[0] == 200
    assert (await home.post(fits + b" "))[0] == 413


async def test_a_chunked_body_is_counted_as_it_comes(home):
    async def endless():
        for _ in range(40):
            yield b" " * 65536

    async with (
        aiohttp.ClientSession() as session,
        session.post(home.url, data=endless()) as answer,
    ):
        assert answer.status == 413
    assert home.inbox.empty


async def test_a_chunked_body_is_read(home):
    async def pieces():
        raw = body(home.signer().notification(receipt()))
        for start in range(0, len(raw), 100):
            yield raw[start : start + 100]

    async with (
        aiohttp.ClientSession() as session,
        session.post(home.url, data=pieces()) as answer,
    ):
        assert answer.status == 200


async def test_a_huge_content_length_is_refused_before_the_body():
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
    async with webhook_at_home(Limits(lingering=0.05)) as home:
        assert (await home.talk(head.encode())).startswith(b"HTTP/1.1 413 ")


async def expecting(home, headers, then):
    """Send the headers with `Expect`, then `then` once told to; return both answers."""
    reader, writer = await asyncio.open_connection(home.host, home.port)
    try:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{headers}\r\n\r\n"
        writer.write(head.encode())
        first = await reader.readuntil(b"\r\n\r\n")
        writer.write(then)
        return first, await reader.read()
    finally:
        writer.close()


async def test_who_asks_first_is_told_to_go_on(home):
    raw = body(home.signer().notification(receipt()))
    first, second = await expecting(home, f"Content-Length: {len(raw)}\r\nConnection: close", raw)
    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert second.startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
async def test_who_asks_first_with_too_much_is_not(home):
    first, _ = await expecting(home, f"Content-Length: {LARGEST_BODY + 1}", b"")
    assert first.startswith(b"HTTP/1.1 413 ")


@pytest.mark.slow
async def test_a_body_that_breaks_http_half_way_is_refused():
    """aiohttp's parser in C leaves the reader waiting, so that only time tells."""
    async with webhook_at_home(body_seconds=0.1) as home:
        first, second = await expecting(
            home, "Transfer-Encoding: chunked", b"1\r\n{\r\nZZ\r\nnonsense"
        )
        assert first.startswith(b"HTTP/1.1 100 ")
        assert second.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 503 "))
        assert sum(home.webhook.tally.refused.values()) >= 1
        assert home.log.events("error") == []
        assert home.inbox.empty


async def test_a_slow_body_is_cut_off():
    async with webhook_at_home(Limits(lingering=0.05), body_seconds=0.05) as home:
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{"
        answer = await home.talk(head.encode())
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"too slowly" in answer
        assert home.inbox.empty


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"HELO example.com\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x00" * 100 + b"\r\n\r\n",
        b"POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /sns HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST /sns HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
    ],
)
async def test_http_nonsense_is_refused_counted_and_forgotten(home, raw):
    answer = await home.talk(raw)
    assert answer.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 "))
    assert b"aiohttp" not in answer
    assert sum(home.webhook.tally.refused.values()) == 1
    assert home.log.events() == ["notice refused"]
    assert home.inbox.empty
    assert (await home.post(home.signer().notification(receipt())))[0] == 200


# Other requests


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
async def test_other_methods_are_refused_with_405(home, method):
    async with aiohttp.ClientSession() as session, session.request(method, home.url) as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"
        assert answer.headers["Server"] == "postamt-sync"


@pytest.mark.parametrize(
    "path", ["/", "/sns/", "/sns/x", "/SNS", "/healthz/", "/../sns", "/%73ns/"]
)
async def test_other_paths_are_not_found(home, path):
    url = home.url.removesuffix(PATH) + path
    answer = await home.talk(f"POST {path} HTTP/1.0\r\n\r\n".encode())
    assert answer.split(b" ")[1] == b"404", url
    assert home.inbox.empty


async def test_healthz_tells_what_is_wrong(home):
    async with aiohttp.ClientSession() as session:
        url = home.url.removesuffix(PATH) + "/healthz"
        async with session.get(url) as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        async with session.head(url) as answer:
            assert answer.status == 200
        home.health = "the ledger cannot be written"
        async with session.get(url) as answer:
            assert (answer.status, await answer.text()) == (503, "the ledger cannot be written\n")
        async with session.post(url, data=b"{}") as answer:
            assert answer.status == 405


# Telling and counting


async def test_the_same_refusal_is_logged_once_but_counted_each_time(home):
    for _ in range(5):
        await home.post(b"nonsense")
    assert sum(home.webhook.tally.refused.values()) == 5
    assert home.log.events() == ["notice refused"]


async def test_a_refusal_quotes_nothing_of_the_stranger(home):
    evil = "\x1b[31m\u202eevil"
    forged = home.signer().notification(evil, Subject=evil) | {"SigningCertURL": "evil"}
    _, reason = await home.post(forged)
    assert "evil" not in reason
    assert "evil" not in json.dumps([fields for _, _, fields in home.log.said])


def test_reasons_are_bounded():
    tally = WebhookTally()
    for number in range(REASONS_KEPT * 2):
        tally.refuse(503, f"reason {number}")
    assert len(tally.refused) == REASONS_KEPT + 1
    assert tally.refused[503, "other reasons"] == REASONS_KEPT


@pytest.mark.slow
async def test_a_burst_is_acknowledged_with_one_certificate_download(home):
    signer = home.signer()
    messages = [signer.notification(s3_event(f"incoming/{n}")) for n in range(200)]
    gate = asyncio.Semaphore(40)

    async def post(session, message):
        async with gate, session.post(home.url, data=body(message)) as answer:
            return answer.status

    async with aiohttp.ClientSession() as session:
        statuses = await asyncio.gather(*(post(session, message) for message in messages))
    assert statuses == [200] * 200
    assert len(home.inbox.known) == 200
    assert len(home.aws.asked) == 1


def test_the_last_trouble_is_one_of_ours():
    tally = WebhookTally()
    tally.refuse(404, "There is nothing at this path.")
    assert tally.last_trouble() == "", "strangers are none"
    tally.refuse(503, "The disk is full.")
    tally.refuse(403, "The signature does not match the message.")
    tally.refuse(503, "The body came too slowly.", by_peer=True)
    assert tally.last_trouble() == "the webhook answered 503: The disk is full."


@pytest.mark.parametrize("kind", ["confirmation", "unsubscription"])
async def test_what_is_signed_with_sha1_is_refused_with_the_remedy(home, kind):
    asked = len(home.aws.asked)
    for message in (
        home.signer("1").notification(receipt()),
        getattr(home.signer("1"), kind)(),
    ):
        status, said = await home.post(message)
        assert (status, "SHA-1" in said) == (403, True)
    assert home.inbox.arrivals == []
    assert len(home.aws.asked) == asked, "no certificate is fetched for it"
    assert "accept_sha1 = true in [webhook]" in str(home.log.said)


async def test_what_is_signed_with_sha1_is_believed_where_that_is_configured():
    async with webhook_at_home(accept_sha1=True) as home:
        for version in ("1", "2"):
            message = home.signer(version).notification(receipt(f"incoming/{version}"))
            assert await home.post(message) == (200, "stored")
        forged = home.signer("1").notification(receipt()) | {"SignatureVersion": "2"}
        assert (await home.post(forged))[0] == 403


BEGUN = b"POST /sns HTTP/1.1\r\nHost: x\r\n"
BROKEN_OFF = {
    "at once": [b"Content-Length: 1000\r\n\r\n"],
    "in the middle": [b"Content-Length: 1000\r\n\r\n", b"{"],
    "large": [b"Content-Length: 900000\r\n\r\n", b" " * 300_000],
    "between chunks": [b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nabcde\r\n"],
    "within a chunk": [b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nab"],
    "before 100": [b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"],
    "garbage": [b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nabcde\r\n", b"zz\r\n\r\n"],
}


@pytest.mark.slow
@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("parts", BROKEN_OFF.values(), ids=BROKEN_OFF)
async def test_a_body_that_its_peer_breaks_off_is_no_trouble_of_ours(home, parts, reset):
    for number in range(20):
        _, writer = await asyncio.open_connection(home.host, home.port)
        for part in (BEGUN, *parts):
            writer.write(part)
            await asyncio.sleep(0.01 * (number % 2))
        if reset:
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            writer.transport.abort()
        writer.close()
    await until(lambda: home.listener.connections == 0)
    assert home.log.events("error") == []
    assert len(home.log.said) <= 1, "strangers fill no disk"
    assert not {status for status, _ in home.webhook.tally.refused if status >= 500}
    assert home.webhook.tally.last_trouble() == ""
