"""One kept connection to the server that answers for a bucket, and what it answers.

The parts are those of aiohttp's client: its protocol with its parser, its limits and its flow
control. Its session is left out, which looks for cookies, redirects and proxies, and builds a URL
again, for each request: that costs more than all the rest of a small mail.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import Protocol, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class Keeper(Protocol):
    """Where a connection goes back when its answer was read."""

    host: str

    def take_back(self, connection: KeptConnection, *, whole: bool) -> None: ...


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
        self._pool: Keeper | None = None

    @property
    def host(self) -> str:
        """Who answers."""
        return self._pool.host if self._pool else ""

    def belongs_to(self, pool: Keeper) -> Self:
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
