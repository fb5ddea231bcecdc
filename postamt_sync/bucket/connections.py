"""Kept connections to the one server that answers for a bucket, and what it answers.

The parts are those of aiohttp's client: its protocol with its parser, its limits and its flow
control. Its session is left out, which looks for cookies, redirects and proxies, and builds a URL
again, for each request: that costs more than all the rest of a small mail.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

from postamt_sync.threads import in_own_thread

CONNECT_SECONDS, LOOK_UP_SECONDS = 15.0, 10.0
LOOKED_UP_FOR = 10.0
"""How long a name that was found is not looked up before connecting."""
IDLE_SECONDS = 10.0
"""How long an unused connection is kept: shorter than S3 keeps it."""

_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)
_LOOKS = 5
"""Looks at the connections in the shorter of the times that they may do nothing."""


class KeptConnection(ResponseHandler):
    """One connection. It is used for one request at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.since = loop.time()
        """When the peer was heard of last, or is waited for since, or the request ended."""
        self.is_waiting = False
        """Whether it is for the peer to say something."""
        self._clock = loop.time
        self._asked = False
        self._body: aiohttp.StreamReader | None = None

    async def ask(self, request: bytes) -> HttpAnswer:
        """Send a request, and return the answer as soon as its headers are there.

        Raises aiohttp.ClientError, TimeoutError or OSError.
        """
        self._body = None
        if not self._asked:
            self.set_response_params(read_until_eof=True, auto_decompress=False)
            self._asked = True
        self.since, self.is_waiting = self._clock(), True
        if self.transport is None:
            raise aiohttp.ServerDisconnectedError
        self.transport.write(request)
        try:
            message, body = await self.read()
            while 100 <= message.code < 200 and message.code != 101:
                message, body = await self.read()
        except HttpProcessingError as error:
            raise aiohttp.ClientPayloadError("the answer is no HTTP") from error
        except aiohttp.EofStream as error:
            raise aiohttp.ServerDisconnectedError from error
        self._body = body
        return HttpAnswer(self, message, body)

    def has_been_silent(self, seconds: float) -> bool:
        """Tell whether it has been the peer's turn to say something for so long."""
        if self._body is not None and self._body.is_eof():
            self.is_waiting = False
        return self.is_waiting and self._clock() - self.since > seconds

    def give_up(self, why: aiohttp.ClientError) -> None:
        """Tell whoever waits that nothing comes any more."""
        self.set_exception(why)
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(why)

    def data_received(self, data: bytes) -> None:
        self.since = self._clock()
        super().data_received(data)

    def pause_reading(self) -> None:
        self.is_waiting = False
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        super().resume_reading(resume_parser)
        self.since, self.is_waiting = self._clock(), True


class HttpAnswer:
    """An answer whose body is still to come. Whoever has it closes it."""

    def __init__(
        self, connection: KeptConnection, message: RawResponseMessage, content: aiohttp.StreamReader
    ) -> None:
        self.status = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.content = Body(content, message.headers.get("Content-Length", ""))
        self._connection: KeptConnection | None = connection
        self._pool: ConnectionPool | None = None

    @property
    def host(self) -> str:
        """Who answers."""
        return self._pool.host if self._pool else ""

    def belongs_to(self, pool: ConnectionPool) -> Self:
        """Let the connection go back there when this is closed."""
        self._pool = pool
        return self

    def close(self) -> None:
        """Let the connection be used again, or end it where the body was not read to its end."""
        connection, self._connection = self._connection, None
        if connection is not None and self._pool is not None:
            self._pool.take_back(connection, whole=self.content.at_eof())


class Body:
    """What follows the headers, once."""

    def __init__(self, stream: aiohttp.StreamReader, length: str) -> None:
        """`length` is what the headers say of it, foreign text."""
        self._stream = stream
        self._length = int(length) if _LENGTH.fullmatch(length) else None

    @property
    def total_bytes(self) -> int:
        """How much of it came, read or not."""
        return self._stream.total_bytes

    def at_eof(self) -> bool:
        """Tell whether it was read to its end."""
        return self._stream.at_eof()

    async def iter_chunked(self, size: int) -> AsyncGenerator[bytes, None]:
        """Yield it, at most `size` bytes at once; one that is no longer comes as a whole.

        Raises aiohttp.ClientError, TimeoutError or OSError.
        """
        stream = self._stream
        if self._length is not None and self._length <= size and not stream.is_eof():
            if (failed := stream.exception()) is not None:
                raise failed
            stream.set_read_chunk_size(size)
            await stream.wait_eof()
        while stream.is_eof():
            if not (chunk := stream.read_nowait(size)):
                return
            yield chunk
        async for chunk in stream.iter_chunked(size):
            yield chunk


class ConnectionPool:
    """At most so many connections to one server at once."""

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        most: int,
        stalled_after: float,
        kept_for: float = IDLE_SECONDS,
        look_up: Callable[[str, int], object] = socket.getaddrinfo,
    ) -> None:
        """In seconds: how long a peer may be silent, and an unused connection is kept.

        `look_up` raises OSError where there is no such host; it may block.
        """
        self.host, self._port, self._tls = host, port, tls
        self._look_up = partial(look_up, host, port)
        self._looking_up: asyncio.Task[object] | None = None
        self._closed, self._looked_up_at = False, float("-inf")
        self._stalled_after, self._kept_for = stalled_after, kept_for
        self._places = asyncio.Semaphore(most)
        self._idle: deque[KeptConnection] = deque()
        self._busy: set[KeptConnection] = set()
        self._look: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    async def ask(self, request: bytes) -> HttpAnswer:
        """Send a request and return its answer, which is to be closed.

        What a kept connection does not answer at all is asked once more over a new one: the peer
        may have closed it meanwhile. Raises aiohttp.ClientError, TimeoutError or OSError.
        """
        await self._places.acquire()
        connection = None
        try:
            connection = self._kept()
            if connection is not None:
                try:
                    return (await connection.ask(request)).belongs_to(self)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                    self._end(connection)
            connection = await self._connected()
            return (await connection.ask(request)).belongs_to(self)
        except BaseException:
            if connection is not None:
                self._end(connection)
            self._places.release()
            raise

    def take_back(self, connection: KeptConnection, *, whole: bool) -> None:
        """Keep a connection whose answer was read to its end, and end any other."""
        connection.is_waiting = False
        if whole and connection.is_connected() and not connection.should_close:
            self._busy.discard(connection)
            connection.since = self._loop.time()
            self._idle.append(connection)
        else:
            self._end(connection)
        self._places.release()

    def close(self) -> None:
        """End all connections; whoever waits for one of them is told."""
        self._closed = True
        if self._look is not None:
            self._look.cancel()
        if self._looking_up is not None:
            self._looking_up.cancel()
        for connection in self._busy:
            connection.give_up(closed())  # aborted alone it would tell nobody
        for connection in (*self._busy, *self._idle):
            connection.abort()
        self._busy.clear()
        self._idle.clear()

    def _kept(self) -> KeptConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_connected() and not connection.should_close:
                self._busy.add(connection)
                return connection
            connection.abort()
        return None

    async def _connected(self) -> KeptConnection:
        if self._is_over():
            raise closed()
        async with asyncio.timeout(CONNECT_SECONDS):
            await self._found()
            _, connection = await self._loop.create_connection(
                lambda: KeptConnection(self._loop),
                self.host,
                self._port,
                ssl=self._tls,
                happy_eyeballs_delay=0.25,
            )
        self._busy.add(connection)
        if self._is_over():
            self._end(connection)
            raise closed()
        if self._look is None:
            self._look_soon()
        return connection

    def _is_over(self) -> bool:
        return self._closed

    async def _found(self) -> None:
        """Wait until the host has been found, all of us for one look-up in a thread of its own.

        Where no name server answers, asyncio's own would take all threads that the ledger needs.
        """
        if self._loop.time() - self._looked_up_at < LOOKED_UP_FOR:
            return
        if self._looking_up is None or self._looking_up.done():
            self._looking_up = asyncio.create_task(in_own_thread(self._look_up, LOOK_UP_SECONDS))
            self._looking_up.add_done_callback(self._looked_up)
        try:
            await asyncio.shield(self._looking_up)
        except TimeoutError:
            raise socket.gaierror(socket.EAI_AGAIN, "no name server answers") from None
        except asyncio.CancelledError:
            if self._is_over():
                raise closed() from None
            raise

    def _looked_up(self, done: asyncio.Task[object]) -> None:
        if not done.cancelled() and done.exception() is None:  # retrieved: perhaps nobody waits
            self._looked_up_at = self._loop.time()

    def _end(self, connection: KeptConnection) -> None:
        self._busy.discard(connection)
        connection.abort()

    def _look_soon(self) -> None:
        self._look = self._loop.call_later(
            min(self._stalled_after, self._kept_for) / _LOOKS, self._look_around
        )

    def _look_around(self) -> None:
        """Give up peers that are silent, and end what was not used for long."""
        now = self._loop.time()
        for connection in self._busy:
            if connection.has_been_silent(self._stalled_after):
                connection.give_up(aiohttp.SocketTimeoutError("the peer is silent"))
        while self._idle and now - self._idle[0].since > self._kept_for:
            self._idle.popleft().abort()
        self._look = None
        if self._busy or self._idle:
            self._look_soon()


def closed() -> aiohttp.ClientConnectionError:
    """Return what whoever still asks is told."""
    return aiohttp.ClientConnectionError("the connections are closed")
