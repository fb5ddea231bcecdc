"""The connections to the server of a bucket: so many at once, kept for the next mail."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable
from functools import partial

import aiohttp

from postamt_sync.awaiting import in_own_thread
from postamt_sync.bucket.kept_connection import HttpAnswer, KeptConnection

CONNECT_SECONDS, LOOK_UP_SECONDS = 15.0, 10.0
LOOKED_UP_FOR = 10.0
"""How long a name that was found is not looked up before connecting."""
RACE_AFTER = 0.25
"""Seconds that an address has before the next is tried beside it (RFC 8305, section 5)."""
IDLE_SECONDS = 10.0
"""How long an unused connection is kept: shorter than S3 keeps it."""

_LOOKS = 5
"""Looks at the connections in the shorter of the times that they may do nothing."""


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
        self._addresses = 1
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
                # A race of addresses loses an open socket where it is given up just as it ends.
                happy_eyeballs_delay=RACE_AFTER if self._addresses > 1 else None,
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
            found = done.result()
            if isinstance(found, list):
                self._addresses = len({address for *_, address in found})

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
