"""Who gets a place at the listener, and who must give his."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from postamt_sync.http.connection import Limits
from postamt_sync.http.connection_table import FOR_ANOTHER
from postamt_sync.http.listener import ALL_IN_USE
from postamt_sync.http.peers import TrustedProxies
from tests.doubles.scene import GET, answer, listening, trusting_anyone, until

pytestmark = pytest.mark.slow

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
POST = HEAD + b"{}"
ANOTHER = ("127.0.0.2", 0)


def forwarded(request, host):
    return request.replace(b"Host: x", f"Host: x\r\nX-Forwarded-For: {host}".encode())


def client_tls(encrypted):
    return {"ssl": trusting_anyone()} if encrypted else {}


@pytest.mark.slow
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("begun", [b"", GET[:5], HEAD, HEAD + b"x", GET])
async def test_the_longest_idle_gives_way_to_another_peer(encrypted, begun, pair):
    tls = pair() if encrypted else None
    async with listening(Limits(connections=3), tls=tls) as scene:
        idle = []
        for _ in range(3):
            idle.append(await scene.connect(**client_tls(encrypted)))
            idle[-1][1].write(begun)
            await asyncio.sleep(0.02)
        reader, writer = await scene.connect(**client_tls(encrypted), local_addr=ANOTHER)
        writer.write(GET)
        assert await answer(reader) == (b"200", b"hello")
        assert scene.listener.connections == 3
        with suppress(ConnectionError):
            await idle[0][0].read()
        assert idle[0][0].at_eof() or idle[0][0].exception()
        assert not idle[1][0].at_eof()
        assert (408, FOR_ANOTHER, "127.0.0.1") in scene.refused
        assert scene.log.events("error") == []


async def test_a_handshake_that_never_comes_gives_way(pair):
    async with listening(Limits(connections=3), tls=pair()) as scene:
        silent = [await scene.connect() for _ in range(3)]
        await until(lambda: scene.listener.connections == 3)
        reader, writer = await scene.connect(ssl=trusting_anyone(), local_addr=ANOTHER)
        writer.write(GET)
        assert await answer(reader) == (b"200", b"hello")
        assert await silent[0][0].read() == b""


async def test_one_peer_has_so_many_and_no_more():
    limits = Limits(connections=100, per_peer=5)
    async with listening(limits) as scene:
        for _ in range(3):
            for _ in range(10):
                await scene.connect()
            await asyncio.sleep(0.15)
            await until(lambda: scene.listener.connections == 5)
        reader, writer = await scene.connect(local_addr=ANOTHER)
        writer.write(GET)
        assert await answer(reader) == (b"200", b"hello")
        assert scene.listener.connections == 6


async def test_what_is_being_answered_stays_and_the_next_of_its_peer_is_turned_away():
    async with listening(Limits(connections=100, per_peer=2)) as scene:
        scene.gate.clear()
        answered = [await scene.connect() for _ in range(2)]
        for _, writer in answered:
            writer.write(POST)
        await until(lambda: scene.entered == 2)
        await asyncio.sleep(0.15)
        reader, _ = await scene.connect()
        with suppress(ConnectionError):
            assert await reader.read() == b""
        assert scene.refused == [(503, ALL_IN_USE, "127.0.0.1")]
        scene.gate.set()
        for reader, _ in answered:
            assert await answer(reader) == (b"200", b"hello")


async def test_who_hangs_up_keeps_his_place_until_his_answer_is_done():
    """Else hanging up would be a way to have any number of requests at once."""
    async with listening(Limits(connections=2)) as scene:
        scene.gate.clear()
        for _ in range(2):
            _, writer = await scene.connect()
            writer.write(POST)
        await until(lambda: scene.entered == 2)
        for client in scene.clients:
            client.transport.abort()
        reader, writer = await scene.connect()
        writer.write(GET)
        await asyncio.sleep(0.15)
        assert scene.entered == 2
        scene.gate.set()
        assert await answer(reader) == (b"200", b"hello")
        assert scene.finished == 3


async def test_a_stop_breaks_off_what_nobody_waits_for():
    async with listening() as scene:
        scene.gate.clear()
        _, writer = await scene.connect()
        writer.write(POST)
        await until(lambda: scene.entered)
        writer.transport.abort()
        await asyncio.sleep(0.05)
        await scene.listener.close(0.05)
        assert scene.listener.connections == 0
        assert scene.finished == 0


async def test_who_hangs_up_half_way_is_no_trouble_of_ours():
    async with listening() as scene:
        _, writer = await scene.connect()
        writer.write(HEAD + b"x")
        await until(lambda: scene.listener.connections)
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await until(lambda: scene.listener.connections == 0)
        assert scene.refused == []
        assert scene.log.events("error") == []


async def test_half_closed_by_the_peer():
    async with listening() as scene:
        for begun in (b"", GET[:5], HEAD + b"x"):
            reader, writer = await scene.connect()
            writer.write(begun)
            writer.write_eof()
            assert await reader.read() == b""
        await until(lambda: scene.listener.connections == 0)


# Proxies


@pytest.mark.slow
async def test_behind_a_proxy_requests_count_for_whom_it_forwards():
    async with listening(Limits(connections=100, per_peer=2)) as scene:
        scene.proxies = TrustedProxies(["127.0.0.1"])
        slow = []
        for number in range(6):
            reader, writer = await scene.connect()
            host = "192.0.2.6" if number % 2 else "192.0.2.9"
            writer.write(forwarded(HEAD, host) + b"x")
            await asyncio.sleep(0.15)
            slow.append(reader)
        await until(lambda: scene.listener.connections == 4)
        assert [reader.at_eof() for reader in slow] == [True, True, False, False, False, False]
        assert {peer for _, _, peer in scene.refused} == {"192.0.2.6", "192.0.2.9"}
        reader, writer = await scene.connect()
        for host in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
            writer.write(forwarded(POST, host))
            assert await answer(reader) == (b"200", b"hello")


@pytest.mark.slow
async def test_a_stranger_who_names_another_is_still_himself():
    async with listening(Limits(connections=100, per_peer=2)) as scene:
        scene.proxies = TrustedProxies(["192.0.2.0/24"])
        for number in range(4):
            _, writer = await scene.connect()
            writer.write(forwarded(HEAD, f"198.51.100.{number}") + b"x")
            await asyncio.sleep(0.15)
        await until(lambda: scene.listener.connections == 2)


async def test_a_unix_socket_is_a_proxy(tmp_path):
    listening_socket = socket.socket(socket.AF_UNIX)
    listening_socket.bind(str(tmp_path / "s"))
    async with listening(Limits(connections=100, per_peer=2), [listening_socket]):
        clients = [await asyncio.open_unix_connection(tmp_path / "s") for _ in range(8)]
        for number, (_, writer) in enumerate(clients):
            writer.write(forwarded(POST, f"192.0.2.{number}"))
        for reader, writer in clients:
            assert await answer(reader) == (b"200", b"hello")
            writer.close()
