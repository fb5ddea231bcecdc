"""The listener: accepting connections, with a limit on everything that a stranger can hold on to.

aiohttp's own sites limit neither the number of connections nor the time for headers, and bind one
TLS context for good. Here each connection is accepted by hand, holds a place from before its TLS
handshake until it is gone, and has a deadline whenever it is not being answered. Who comes when all
places are taken gets that of the longest idle one.
"""

from __future__ import annotations

import asyncio
import math
import resource
import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web

from postamt_sync.events import Events
from postamt_sync.http.connection import SERVER, Connection, Limits, Refused, shown
from postamt_sync.http.connection_table import ConnectionTable
from postamt_sync.http.peers import TrustedProxies, request_peer
from postamt_sync.http.server_certificate import ServerCertificate
from postamt_sync.throttle import Throttle
from postamt_sync.unexpected import place

BACKLOG = 4096
"""Connections that wait in the kernel while no place can be given."""
ACCEPTED_AT_ONCE = 64
"""Taken in one go, so that a storm of connections cannot starve the running answers."""
SHARE_OF_DESCRIPTORS = 4
"""One in so many of the process's file descriptors may be a stranger's."""
FREED_AT_ONCE = 16
"""Idle connections closed where descriptors have run out: the rest of the daemon needs some too."""
FREED_SECONDS = 0.05
NO_DESCRIPTORS = "No file descriptors were left: the longest idle connection was closed."
ALL_IN_USE = "Too many requests of one peer at once."

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Listener:
    """Serves HTTP, over TLS once it has a certificate, on sockets that are given to it."""

    def __init__(
        self,
        handler: Handler,
        refused: Refused,
        events: Events,
        limits: Limits | None = None,
        proxies: Callable[[], TrustedProxies] = TrustedProxies,
    ) -> None:
        """`proxies` gives those that are trusted when a connection or a request comes."""
        self._handler = handler
        self._refused = refused
        self._events = events
        self._limits = limits or Limits()
        self._proxies = proxies
        self._table = ConnectionTable(
            _places(self._limits.connections), self._limits.per_peer, self._limits.octets
        )
        self.certificate: ServerCertificate | None = None
        """What new connections are shown; None: no TLS."""
        self._sockets: list[socket.socket] = []
        self._connections: set[Connection] = set()
        self._none_left = asyncio.Event()
        self._accepting = False
        self._closing = False
        self._throttle = Throttle()
        self._retry: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many places are taken, TLS handshakes included."""
        return len(self._table)

    def replace_tls(self, certificate: Path, key: Path) -> None:
        """Use this pair for new connections; those that are open keep theirs.

        Raises MisconfiguredError and keeps the old pair if this one cannot be used.
        """
        self.certificate = ServerCertificate.read(certificate, key)

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
        sender = self._proxies().sender(request, connection.sockaddr)
        if sender != request.remote:
            request = request.clone(remote=sender)
        try:
            if connection.answering(request, request_peer(sender)):
                response = await self._handler(request)
            else:
                response = self._all_in_use(sender)
        finally:
            connection.answered()
            self._place_came_free()
        response.headers["Server"] = SERVER
        if self._closing:
            response.force_close()
        return response

    def _all_in_use(self, sender: str) -> web.Response:
        self._refused(HTTPStatus.SERVICE_UNAVAILABLE, ALL_IN_USE, sender)
        response = web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=f"{ALL_IN_USE}\n")
        response.force_close()
        return response

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            seconds = self._table.seconds_to_room()
            if seconds:
                self._pause()
                if math.isfinite(seconds):
                    asyncio.get_running_loop().call_later(seconds, self._place_came_free)
                return
            try:
                accepted, sockaddr = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(error)
                return
            self._welcome(accepted, sockaddr)

    def _welcome(self, accepted: socket.socket, sockaddr: Any) -> None:
        accepted.setblocking(False)
        peer = self._proxies().connection_peer(sockaddr)
        if not self._table.make_room(peer):
            self._refused(HTTPStatus.SERVICE_UNAVAILABLE, ALL_IN_USE, shown(sockaddr))
            accepted.close()
            return
        connection = Connection(
            self._server,
            self._limits,
            self._refused,
            self._failed,
            self._table,
            sockaddr,
            peer,
            self._gone,
        )
        self._table.enter(connection, peer)
        self._connections.add(connection)
        opening = asyncio.create_task(self._open(accepted, connection))

        def close() -> None:
            # A task cancelled before its first step would leave its socket open.
            opening.cancel()
            accepted.close()

        connection.close_unopened = close
        opening.add_done_callback(lambda _: None if connection.is_open else self._gone(connection))

    async def _open(self, accepted: socket.socket, connection: Connection) -> None:
        opening = asyncio.current_task()
        assert opening is not None
        connection.close_unopened = opening.cancel
        tls = self.certificate.context if self.certificate else None
        with suppress(OSError):  # The handshake failed, was too slow or was broken off.
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=tls,
                ssl_handshake_timeout=self._limits.handshake if tls else None,
                ssl_shutdown_timeout=self._limits.lingering if tls else None,
            )

    def _rest(self, error: OSError) -> None:
        """Out of file descriptors or memory.

        The connection stays in the backlog and the socket readable: without a pause we would spin.
        """
        freed = [self._table.evict_idle(NO_DESCRIPTORS) for _ in range(FREED_AT_ONCE)]
        self._pause()
        loop = asyncio.get_running_loop()
        seconds = FREED_SECONDS if any(freed) else self._limits.exhausted
        self._retry = loop.call_later(seconds, self._resume)
        if self._throttle.allows(error.errno):
            self._events.not_accepting(error.strerror or str(error))

    def _failed(self, error: BaseException | None) -> None:
        if error is None or self._throttle.allows((type(error), place(error))):
            self._events.request_failed(f"{type(error).__name__}: {error}")

    def _gone(self, connection: Connection) -> None:
        self._table.leave(connection)
        self._connections.discard(connection)
        if not self._connections:
            self._none_left.set()
        self._place_came_free()

    def _place_came_free(self) -> None:
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


def _places(wanted: int) -> int:
    """Return how many connections this process can afford, `wanted` at most."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, descriptors // SHARE_OF_DESCRIPTORS))
