"""Peers that end in the middle of a request, in whatever way: it is their own affair.

Nobody is told that something of ours failed, and it never is why SNS could not deliver.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest

from postamt_sync.http.connection import Limits
from tests.doubles.scene import until
from tests.doubles.sns import body, certificate_pem, key_pem, private_key, receipt
from tests.doubles.webhook import PATH, WebhookAtHome, webhook_at_home

PEERS = 30
POST = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode()
LONG = POST + b"Content-Length: 4000\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
OPENINGS = {
    "in its first line": b"POST /s",
    "in its headers": POST + b"Content-",
    "before its body": LONG,
    "in its body": LONG + b'{"Type": "Not',
    "in a large body": POST + b"Content-Length: 900000\r\n\r\n" + b" " * 300_000,
    "in a chunk": CHUNKED + b"ff\r\n{",
    "in the length of a chunk": CHUNKED + b"f",
    "between chunks": CHUNKED + b"1\r\n{\r\n",
    "in the trailer": CHUNKED + b"1\r\n{\r\n0\r\nA: b",
    "while asked to go on": LONG.replace(b"Host", b"Expect: 100-continue\r\nHost"),
    "after a true one": b"",
    "in a body with too short a length": POST + b'Content-Length: 5\r\n\r\n{"Type": "Notification"',
    "where nothing is": LONG.replace(PATH.encode(), b"/else") + b"x",
}
pytestmark = pytest.mark.slow
Talk = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def reset(talk: Talk) -> None:
    """RST: what lies in the buffers is lost."""
    sock = talk[1].get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    talk[1].transport.abort()


async def finish(talk: Talk) -> None:
    """FIN, and nothing is read any more."""
    talk[1].close()


async def half_close(talk: Talk) -> None:
    """FIN of what is sent; an answer would be read."""
    talk[1].write_eof()
    with suppress(ConnectionError):
        await talk[0].read()
    talk[1].close()


async def vanish_from_tls(talk: Talk) -> None:
    """FIN of TCP without TLS's own farewell."""
    talk[1].transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
    talk[1].transport.abort()


@pytest.fixture
async def home() -> AsyncIterator[WebhookAtHome]:
    limits = Limits(headers=0.5, idle=0.5, lingering=0.05)
    async with webhook_at_home(limits, body_seconds=20) as made:
        yield made


async def broken_off(
    home: WebhookAtHome,
    opening: bytes,
    end: Callable[[Talk], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> None:
    for number in range(PEERS):
        talk = await asyncio.open_connection(home.host, home.port, ssl=tls)
        true = (
            body(home.signer().notification(receipt(f"incoming/{number}"))) if not opening else b""
        )
        talk[1].write(opening or POST + b"Content-Length: %d\r\n\r\n" % len(true) + true)
        with suppress(ConnectionError):
            await talk[1].drain()
        if number % 3 == 0:
            await asyncio.sleep(0.005)  # also after the handler has begun
        await end(talk)
    await until(lambda: home.listener.connections == 0)


def nothing_of_ours_failed(home: WebhookAtHome) -> None:
    tally = home.webhook.tally
    assert [status for status in tally.refused_by_status() if status >= 500] == []
    assert tally.last_trouble() == "", "it is no reason for dead letters"
    assert home.log.events("error") == []
    assert len(home.log.events()) <= len(tally.refused) + 1, "a line for each kind"


@pytest.mark.parametrize("end", [reset, finish, half_close], ids=lambda way: way.__name__)
@pytest.mark.parametrize("where", OPENINGS)
async def test_a_peer_that_ends_anywhere_is_no_error_of_ours(
    home: WebhookAtHome, where: str, end: Callable[[Talk], Awaitable[None]]
) -> None:
    await broken_off(home, OPENINGS[where], end)
    nothing_of_ours_failed(home)
    assert (await home.post(home.signer().notification(receipt())))[0] == 200


@pytest.mark.parametrize("end", [reset, vanish_from_tls], ids=lambda way: way.__name__)
@pytest.mark.parametrize(
    "where", ["in its headers", "in its body", "in a chunk", "in a large body"]
)
async def test_a_peer_that_ends_without_a_farewell_over_tls(
    home: WebhookAtHome, tmp_path, where: str, end: Callable[[Talk], Awaitable[None]]
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(certificate_pem(private_key(1), name="home.example.com"))
    key.write_bytes(key_pem(private_key(1)))
    home.listener.replace_tls(certificate, key)
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    await broken_off(home, OPENINGS[where], end, trusting)
    nothing_of_ours_failed(home)


@pytest.mark.parametrize("where", ["in its body", "in a chunk", "before its body"])
async def test_a_peer_that_is_too_slow_is_no_trouble_of_ours(where: str) -> None:
    """It is told to come again, since it may be SNS behind a bad line."""
    async with webhook_at_home(Limits(lingering=0.05), body_seconds=0.05) as home:
        answers = await asyncio.gather(*(home.talk(OPENINGS[where]) for _ in range(PEERS)))
        assert {answer[9:12] for answer in answers} == {b"503"}
        assert home.webhook.tally.last_trouble() == "", "no reason for dead letters"
        assert home.webhook.tally.refused_by_status() == {408: PEERS}, "and no 503 of ours"
        assert home.log.events() == ["notice refused"]
        assert home.log.events("error") == []


async def test_a_peer_that_waits_in_its_headers_is_cut_off_as_one_kind(
    home: WebhookAtHome,
) -> None:
    talks = [await asyncio.open_connection(home.host, home.port) for _ in range(PEERS)]
    for _, writer in talks:
        writer.write(OPENINGS["in its headers"])
    for reader, writer in talks:
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
    nothing_of_ours_failed(home)
    assert home.webhook.tally.refused_by_status() == {408: PEERS}
    assert home.log.events() == ["notice refused"]
