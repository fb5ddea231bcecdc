"""The listener: accepting connections, with a limit on everything that a stranger can hold on to.

aiohttp's own sites limit neither the number of connections nor the time for headers, and bind one
TLS context for good. Here each connection is accepted by hand, holds a place from before its TLS
handshake until it is gone, and has a deadline whenever it is not being answered.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from aiohttp import web

from postamt_sync.events import Events
from postamt_sync.intake.address import tls_context
from postamt_sync.intake.connection import SERVER, Connection, Limits, Refused

BACKLOG = 1024
"""Connections that wait in the kernel while all places are taken."""
ACCEPTED_AT_ONCE = 64
"""Taken in one go, so that a storm of connections cannot starve the running answers."""

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """Serves HTTP, over TLS once it has a certificate, on sockets that are given to it."""

    def __init__(
        self, handler: Handler, refused: Refused, events: Events, limits: Limits | None = None
    ) -> None:
        self._handler = handler
        self._refused = refused
        self._events = events
        self._limits = limits or Limits()
        self._tls: ssl.SSLContext | None = None
        self._sockets: list[socket.socket] = []
        self._connections: set[Connection] = set()
        self._welcomes: set[asyncio.Task[None]] = set()
        self._none_left = asyncio.Event()
        self._accepting = False
        self._closing = False
        self._exhausted = False
        self._retry: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many places are taken, TLS handshakes included."""
        return len(self._connections)

    def replace_tls(self, certificate: Path, key: Path) -> None:
        """Use this pair for new connections; those that are open keep theirs.

        Raises MisconfiguredError and keeps the old pair if this one cannot be used.
        """
        self._tls = tls_context(certificate, key)

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """Begin to accept on these bound sockets (`bind`, or socket activation); we close them."""
        self._server = web.Server(self._answer)
        for listening in sockets:
            listening.setblocking(False)
            listening.listen(BACKLOG)
            self._sockets.append(listening)
        self._resume()

    async def close(self, grace: float) -> None:
        """Stop accepting, let running answers finish for `grace` seconds, then cut them off."""
        self._closing = True
        self._pause()
        if self._retry is not None:
            self._retry.cancel()
        for listening in self._sockets:
            listening.close()
        # A task cancelled before its first step would leave its socket open.
        await asyncio.sleep(0)
        for welcome in self._welcomes:
            welcome.cancel()
        for connection in list(self._connections):
            connection.close_if_idle()
        try:
            async with asyncio.timeout(grace):
                await self._all_gone()
        except TimeoutError:
            await self._cut()

    async def _cut(self) -> None:
        rest = list(self._connections)
        # First the answers, then the wires: a lost connection would leave its answer running.
        await asyncio.gather(*(connection.shutdown(timeout=0.1) for connection in rest))
        for connection in rest:
            connection.cut()
        await self._all_gone()

    async def _all_gone(self) -> None:
        while self._connections:
            self._none_left.clear()
            await self._none_left.wait()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.answering()
        try:
            response = await self._handler(request)
        finally:
            connection.answered()
        response.headers["Server"] = SERVER
        if self._closing:
            response.force_close()
        return response

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if len(self._connections) >= self._limits.connections:
                self._pause()
                return
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(error)
                return
            self._exhausted = False
            accepted.setblocking(False)
            connection = Connection(
                self._server, self._limits, self._refused, self._events, self._gone
            )
            self._connections.add(connection)
            welcome = asyncio.create_task(self._welcome(accepted, connection))
            self._welcomes.add(welcome)
            welcome.add_done_callback(self._welcomes.discard)

    def _rest(self, error: OSError) -> None:
        """Out of file descriptors or memory.

        The connection stays in the backlog and the socket readable: without a pause we would spin.
        """
        self._pause()
        loop = asyncio.get_running_loop()
        self._retry = loop.call_later(self._limits.exhausted, self._resume)
        if not self._exhausted:
            self._exhausted = True
            self._events.trouble("cannot accept connections", error.strerror or str(error))

    async def _welcome(self, accepted: socket.socket, connection: Connection) -> None:
        tls = self._tls
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=tls,
                ssl_handshake_timeout=self._limits.handshake if tls else None,
                ssl_shutdown_timeout=self._limits.lingering if tls else None,
            )
        except OSError:
            # The handshake failed, was too slow or was broken off.
            self._gone(connection)
        except asyncio.CancelledError:
            self._gone(connection)
            raise

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._none_left.set()
        if self._retry is None:
            self._resume()

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            loop = asyncio.get_running_loop()
            for listening in self._sockets:
                loop.remove_reader(listening)

    def _resume(self) -> None:
        self._retry = None
        if not self._accepting and not self._closing:
            self._accepting = True
            loop = asyncio.get_running_loop()
            for listening in self._sockets:
                loop.add_reader(listening, self._accept, listening)
