"""Connections that are kept, given up and ended, against a server that does as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from postamt_sync.bucket.connections import ConnectionPool
from postamt_sync.bucket.kept_connection import HttpAnswer

REQUEST = b"GET /a HTTP/1.1\r\nhost: s3\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Amz-Id: 1\r\n\r\nmail"
BROKEN = (aiohttp.ClientError, OSError)

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers each request as the next of `replies` says, the last one ever after."""

    def __init__(self, *replies: bytes | Reply) -> None:
        self.replies = list(replies)
        self.connections = self.open = 0
        self.port = 0
        self.serving: set[asyncio.Task[None] | None] = set()
        """Known, for nothing else holds a task that waits forever."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.current_task())
        self.connections += 1
        self.open += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if isinstance(reply, bytes):
                    writer.write(reply)
                else:
                    await reply(writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            self.open -= 1
            writer.close()

    async def end(self) -> None:
        serving = [task for task in self.serving if task is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@asynccontextmanager
async def pool_to(
    server: Server,
    most: int = 2,
    stalled_after: float = 5.0,
    kept_for: float = 5.0,
    look_up: Callable[[str, int], object] = lambda _host, _port: None,
) -> AsyncIterator[ConnectionPool]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    place = "127.0.0.1", server.port
    pool = ConnectionPool(*place, None, most, stalled_after, kept_for, look_up)
    try:
        yield pool
    finally:
        pool.close()
        listening.close()
        await server.end()


async def read(answer: HttpAnswer) -> bytes:
    try:
        return b"".join([chunk async for chunk in answer.content.iter_chunked(1000)])
    finally:
        answer.close()


async def closes(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def says_nothing(_: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def stops_halfway(writer: asyncio.StreamWriter) -> None:
    writer.write(OK[:-2])
    await asyncio.Event().wait()


async def test_one_connection_serves_one_after_the_other() -> None:
    server = Server(OK)
    async with pool_to(server) as pool:
        for _ in range(3):
            answer = await pool.ask(REQUEST)
            assert (answer.status, answer.headers["x-amz-id"]) == (200, "1")
            assert await read(answer) == b"mail"
        assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nma\r\n2\r\nil\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK,
    ],
)
async def test_bodies_of_every_kind_come_whole(reply: bytes) -> None:
    server = Server(reply)
    async with pool_to(server) as pool:
        assert await read(await pool.ask(REQUEST)) == b"mail"
        assert await read(await pool.ask(REQUEST)) == b"mail"
        assert server.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
        OK.replace(b"1.1", b"1.0"),
        OK + OK,  # whose is the second one?
        OK + b"!",
    ],
)
async def test_what_is_not_to_be_kept_is_not(reply: bytes) -> None:
    server = Server(reply, OK)
    async with pool_to(server) as pool:
        with contextlib.suppress(*BROKEN):
            await read(await pool.ask(REQUEST))
        assert await read(await pool.ask(REQUEST)) == b"mail"
        assert server.connections == 2


async def test_a_kept_connection_that_is_dead_is_replaced_at_once() -> None:
    server = Server(OK, closes, OK)
    async with pool_to(server) as pool:
        assert await read(await pool.ask(REQUEST)) == b"mail"
        assert await read(await pool.ask(REQUEST)) == b"mail"
        assert server.connections == 2


async def test_a_new_connection_that_is_dead_is_an_error() -> None:
    server = Server(closes)
    async with pool_to(server) as pool:
        with pytest.raises(BROKEN):
            await pool.ask(REQUEST)
        assert server.connections == 1


@pytest.mark.parametrize("reply", [b"", b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\nCont"])
async def test_nonsense_and_silence_are_errors(reply: bytes) -> None:
    async def cut(writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await closes(writer)

    async with pool_to(Server(cut)) as pool:
        with pytest.raises(BROKEN):
            await pool.ask(REQUEST)


@pytest.mark.parametrize("reply", [says_nothing, stops_halfway])
async def test_a_silent_peer_is_given_up(reply: Reply) -> None:
    async with pool_to(Server(reply, OK), stalled_after=0.05) as pool:
        with pytest.raises(TimeoutError):
            await read(await pool.ask(REQUEST))
        assert await read(await pool.ask(REQUEST)) == b"mail"


async def test_who_is_slow_to_read_is_not_a_silent_peer() -> None:
    body = b"x" * 4_000_000
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + body)
    async with pool_to(server, stalled_after=0.05) as pool:
        answer = await pool.ask(REQUEST)
        await asyncio.sleep(0.2)  # more than fits on the way
        assert await read(answer) == body


async def test_who_has_all_of_it_may_take_his_time() -> None:
    server = Server(OK)
    async with pool_to(server, stalled_after=0.05) as pool:
        answer = await pool.ask(REQUEST)
        await asyncio.sleep(0.2)
        assert await read(answer) == b"mail"
        assert await read(await pool.ask(REQUEST)) == b"mail"
        assert server.connections == 1


async def test_no_more_than_so_many_at_once() -> None:
    server = Server(OK)
    async with pool_to(server, most=2) as pool:
        first, second = await pool.ask(REQUEST), await pool.ask(REQUEST)
        third = asyncio.create_task(pool.ask(REQUEST))
        await asyncio.sleep(0.02)
        assert not third.done()
        assert await read(first) == b"mail"
        assert await read(await third) == b"mail"
        assert await read(second) == b"mail"
        assert server.connections == 2


async def test_whoever_is_cancelled_leaves_place_for_others() -> None:
    server = Server(says_nothing, OK)
    async with pool_to(server, most=1) as pool:
        waiting = asyncio.create_task(pool.ask(REQUEST))
        while len(server.replies) > 1:  # until it is being answered
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await read(await pool.ask(REQUEST)) == b"mail"
        assert server.connections == 2


async def test_a_body_that_is_left_ends_its_connection() -> None:
    server = Server(OK.replace(b"4", b"5"), OK)
    async with pool_to(server, most=1) as pool:
        answer = await pool.ask(REQUEST)
        answer.close()
        answer.close()  # twice is as good as once
        assert await read(await pool.ask(REQUEST)) == b"mail"
        assert server.connections == 2


async def test_unused_connections_are_ended() -> None:
    server = Server(OK)
    async with pool_to(server, kept_for=0.05) as pool:
        assert await read(await pool.ask(REQUEST)) == b"mail"
        async with asyncio.timeout(5):
            while server.open:
                await asyncio.sleep(0.02)
        assert await read(await pool.ask(REQUEST)) == b"mail"
        assert server.connections == 2


async def test_who_is_not_there_is_an_error_and_holds_no_place() -> None:
    server = Server(OK)
    async with pool_to(server):
        pass
    pool = ConnectionPool("127.0.0.1", server.port, None, 1, 5.0)
    for _ in range(3):
        with pytest.raises(OSError, match="Connect call failed"):
            await pool.ask(REQUEST)
    pool.close()


@pytest.mark.parametrize("reply", [says_nothing, stops_halfway])
async def test_whoever_waits_when_all_is_closed_is_told(reply: Reply) -> None:
    server = Server(reply)
    async with pool_to(server) as pool:

        async def whole() -> bytes:
            return await read(await pool.ask(REQUEST))

        waiting = asyncio.create_task(whole())
        while not server.open:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        pool.close()
        async with asyncio.timeout(3):
            with pytest.raises(aiohttp.ClientConnectionError):
                await waiting
            with pytest.raises(aiohttp.ClientConnectionError):
                await pool.ask(REQUEST)
    assert server.connections == 1


async def test_a_name_server_that_is_silent_holds_one_thread_and_none_of_asyncios() -> None:
    asked: list[str] = []
    answered = threading.Event()

    def look_up(host: str, _port: int) -> None:
        asked.append(host)
        answered.wait(10)

    async with pool_to(Server(OK), most=32, look_up=look_up) as pool:
        waiting = [asyncio.create_task(pool.ask(REQUEST)) for _ in range(32)]
        try:
            async with asyncio.timeout(5):
                while not asked:
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(lambda: None)
            waiting.pop().cancel()
            assert asked == ["127.0.0.1"]
            assert not any(each.done() for each in waiting)
        finally:
            answered.set()
        assert [await read(await each) for each in waiting] == [b"mail"] * 31
        assert asked == ["127.0.0.1"]


async def test_a_host_that_is_not_found_is_looked_up_again() -> None:
    found: list[OSError | None] = [OSError("no such host"), None]

    def look_up(_host: str, _port: int) -> None:
        if (error := found.pop(0)) is not None:
            raise error

    async with pool_to(Server(OK), look_up=look_up) as pool:
        with pytest.raises(OSError, match="no such host"):
            await pool.ask(REQUEST)
        assert await read(await pool.ask(REQUEST)) == b"mail"


async def test_a_silent_name_server_is_no_silent_peer() -> None:
    def look_up(_host: str, _port: int) -> None:
        raise TimeoutError

    async with pool_to(Server(OK), look_up=look_up) as pool:
        with pytest.raises(socket.gaierror):
            await pool.ask(REQUEST)


@pytest.mark.slow
async def test_whoever_gives_up_while_it_connects_leaves_no_socket_open() -> None:
    """At each turn of the loop on the way to the first answer; what is left open is an error."""
    left: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, left.append
    try:
        for turns in range(40):
            async with pool_to(Server(OK), most=16, look_up=socket.getaddrinfo) as pool:
                asking = [asyncio.create_task(pool.ask(REQUEST)) for _ in range(16)]
                for _ in range(turns):
                    await asyncio.sleep(0.0005 if turns % 2 else 0)
                for task in asking:
                    task.cancel()
                for answer in await asyncio.gather(*asking, return_exceptions=True):
                    if isinstance(answer, HttpAnswer):
                        answer.close()
            await asyncio.sleep(0)
    finally:
        sys.unraisablehook = before
    assert left == []
