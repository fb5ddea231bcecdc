"""What a stranger can hold on to, and for how long."""

from __future__ import annotations

import asyncio
import errno
import socket

import pytest

from postamt_sync.errors import MisconfiguredError
from postamt_sync.http.connection import Limits
from postamt_sync.http.sockets import bind
from tests.doubles.scene import GET, Scene, answer, listening, trusting_anyone, until
from tests.doubles.sns import body, receipt
from tests.doubles.webhook import webhook_at_home

pytestmark = pytest.mark.slow


async def test_requests_of_one_connection():
    async with listening() as scene:
        reader, writer = await scene.connect()
        for _ in range(3):
            writer.write(GET)
            assert await answer(reader) == (b"200", b"hello")
        assert scene.listener.connections == 1
        writer.close()
        await until(lambda: scene.listener.connections == 0)


async def test_pipelined_requests():
    async with listening() as scene:
        reader, writer = await scene.connect()
        writer.write(GET * 3)
        for _ in range(3):
            assert await answer(reader) == (b"200", b"hello")
        writer.close()


async def test_ipv4_and_ipv6():
    async with listening(sockets=bind([("127.0.0.1", 0), ("::1", 0)])) as scene:
        for number in range(2):
            reader, writer = await scene.connect(number)
            writer.write(GET)
            assert await answer(reader) == (b"200", b"hello")
            writer.close()


async def test_a_socket_that_listens_already_is_taken():
    activated = socket.create_server(("127.0.0.1", 0))
    async with listening(sockets=[activated]) as scene:
        reader, writer = await scene.connect()
        writer.write(GET)
        assert await answer(reader) == (b"200", b"hello")
        writer.close()


# The cap


async def test_a_handshake_that_never_comes_is_cut_off(pair):
    async with listening(Limits(handshake=0.05), tls=pair()) as scene:
        reader, writer = await scene.connect()
        await until(lambda: scene.listener.connections == 1)
        assert await reader.read() == b""
        await until(lambda: scene.listener.connections == 0)
        writer.close()


@pytest.mark.parametrize("encrypted", [False, True])
async def test_no_more_connections_than_allowed(encrypted, pair):
    sockets = bind([("127.0.0.1", 0), ("::1", 0)])
    tls = pair() if encrypted else None
    async with listening(Limits(connections=3), sockets, tls) as scene:
        most = 0
        open_ones = []
        for number in range(10):
            open_ones.append(await scene.connect(number % 2))
            most = max(most, scene.listener.connections)
        await until(lambda: scene.listener.connections == 3)
        assert most <= 3
        for _, writer in open_ones:
            writer.close()
        await until(lambda: scene.listener.connections == 0)


async def test_who_waits_is_served_when_a_place_is_free():
    async with listening(Limits(connections=1)) as scene:
        scene.gate.clear()
        first_reader, first = await scene.connect()
        first.write(GET)
        await until(lambda: scene.entered)
        reader, second = await scene.connect()
        second.write(GET)
        await asyncio.sleep(0.05)
        assert scene.entered == 1
        scene.gate.set()
        assert await answer(first_reader) == (b"200", b"hello")
        assert await answer(reader) == (b"200", b"hello")
        second.close()


class Exhausted(socket.socket):
    """A listening socket on a machine without file descriptors, for the first few tries."""

    failures = 2
    tries = 0

    def accept(self):
        self.tries += 1
        if self.tries <= self.failures:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@pytest.mark.slow
async def test_without_file_descriptors_we_pause_and_go_on():
    exhausted = Exhausted(socket.AF_INET, socket.SOCK_STREAM)
    exhausted.bind(("127.0.0.1", 0))
    async with listening(Limits(exhausted=0.2), [exhausted]) as scene:
        reader, writer = await scene.connect()
        writer.write(GET)
        await until(lambda: exhausted.tries)
        await asyncio.sleep(0.02)
        assert exhausted.tries == 1
        assert await answer(reader) == (b"200", b"hello")
        assert scene.log.events("error") == ["cannot accept connections"]
        writer.close()


async def test_without_file_descriptors_the_idle_give_theirs():
    exhausted = Exhausted(socket.AF_INET, socket.SOCK_STREAM)
    exhausted.failures = 0
    exhausted.bind(("127.0.0.1", 0))
    async with listening(Limits(exhausted=600), [exhausted]) as scene:
        idle, _ = await scene.connect()
        await until(lambda: scene.listener.connections == 1)
        await asyncio.sleep(0.15)
        exhausted.failures = exhausted.tries + 1
        reader, writer = await scene.connect()
        writer.write(GET)
        assert await answer(reader) == (b"200", b"hello")
        assert await idle.read() == b""
        assert scene.log.events("error") == ["cannot accept connections"]


# TLS


def shown(writer):
    return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)


async def test_a_new_certificate_for_new_connections_only(pair):
    async with listening(tls=pair(0)) as scene:
        reader, old = await scene.connect(ssl=trusting_anyone())
        scene.listener.replace_tls(*pair(1))
        _, new = await scene.connect(ssl=trusting_anyone())
        assert shown(old) != shown(new)
        old.write(GET)
        assert await answer(reader) == (b"200", b"hello")
        old.close()
        new.close()


@pytest.mark.slow
async def test_a_broken_pair_is_refused_and_the_old_one_kept(pair):
    async with listening(tls=pair(0)) as scene:
        _, before = await scene.connect(ssl=trusting_anyone())
        with pytest.raises(MisconfiguredError):
            scene.listener.replace_tls(*pair(1, key_of=2))
        _, after = await scene.connect(ssl=trusting_anyone())
        assert shown(before) == shown(after)
        before.close()
        after.close()


async def test_plain_http_to_a_tls_port(pair):
    async with listening(tls=pair()) as scene:
        reader, writer = await scene.connect()
        writer.write(GET)
        assert not (await reader.read()).startswith(b"HTTP")
        await until(lambda: scene.listener.connections == 0)
        assert scene.entered == 0
        writer.close()


async def test_a_notification_over_tls(pair):
    async with webhook_at_home() as home:
        home.listener.replace_tls(*pair())
        signed = home.signer().notification(receipt())
        reader, writer = await asyncio.open_connection(home.host, home.port, ssl=trusting_anyone())
        raw = body(signed)
        writer.write(
            b"POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        assert len(home.inbox.arrivals) == 1
        writer.close()


# The end


async def test_a_stop_lets_running_answers_finish_and_closes_the_idle():
    async with listening() as scene:
        idle_reader, idle = await scene.connect()
        scene.gate.clear()
        reader, writer = await scene.connect()
        writer.write(GET)
        await until(lambda: scene.entered and scene.listener.connections == 2)
        closing = asyncio.create_task(scene.listener.close(20))
        assert await idle_reader.read() == b""
        with pytest.raises(ConnectionError):
            await scene.connect()
        scene.gate.set()
        assert await answer(reader) == (b"200", b"hello")
        assert await reader.read() == b""
        await closing
        assert scene.listener.connections == 0
        idle.close()
        writer.close()


async def test_a_stop_cuts_off_what_takes_too_long():
    async with listening() as scene:
        scene.gate.clear()
        reader, writer = await scene.connect()
        writer.write(GET)
        await until(lambda: scene.entered)
        await scene.listener.close(0.05)
        assert scene.listener.connections == 0
        scene.gate.set()
        await asyncio.sleep(0.01)
        assert scene.finished == 0
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()


async def test_a_stop_during_handshakes(pair):
    async with listening(tls=pair()) as scene:
        connected = [await scene.connect() for _ in range(5)]
        await until(lambda: scene.listener.connections == 5)
        await scene.listener.close(5)
        assert scene.listener.connections == 0
        for _, writer in connected:
            writer.close()


async def test_a_stop_right_after_a_connection():
    async with listening() as scene:
        client = socket.create_connection(scene.address)
        await scene.listener.close(5)
        assert scene.listener.connections == 0
        client.close()


async def test_a_stop_between_a_connection_and_its_first_step():
    stopping, taken = [], []

    async def stop():
        taken.append(scene.listener.connections)
        await scene.listener.close(5)

    class StopsIt(socket.socket):
        """Its first connection begins the stop, whose turn comes before the connection's."""

        def accept(self):
            accepted = super().accept()
            stopping.append(asyncio.create_task(stop()))
            return accepted

    bound = socket.create_server(("127.0.0.1", 0))
    async with listening(sockets=[StopsIt(fileno=bound.detach())]) as scene:
        client = socket.create_connection(scene.address)
        await until(lambda: stopping)
        await stopping[0]
        assert taken == [1]
        assert scene.listener.connections == 0
        client.close()


async def test_a_stop_without_a_start():
    scene = Scene(None, None)
    await scene.listener.close(1)
    for each in scene.sockets:
        each.close()
