"""One HTTP connection, with a deadline for each moment at which the peer keeps us waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web

from postamt_sync.http.connection_table import ConnectionTable
from postamt_sync.http.peers import Peer

SERVER = "postamt-sync"
"""The Server header: no versions for strangers."""

READ_BUFFER = 64 * 1024
"""Octets of a body that wait for the handler; aiohttp stops reading at twice as many."""

Refused = Callable[[int, str, str], None]
"""Told of what no handler saw or could answer: status, reason, peer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener allows; times in seconds."""

    connections: int = 256
    """In all; fewer where the process may have few file descriptors."""
    per_peer: int = 128
    """More than SNS ever has open at once; means nothing where there are no more places in all."""
    octets: int = 16 * 1024 * 1024
    """What incomplete requests may take together, beyond an ordinary one's size each."""
    handshake: float = 10
    headers: float = 10
    """From the connection, or from a later request's first byte, until the handler runs."""
    idle: float = 75
    """Between two requests of one connection."""
    lingering: float = 2
    """To read on after a refusal, so that the peer sees it before the connection closes."""
    exhausted: float = 1
    """Pause when the system has no more file descriptors."""


class Connection(web.RequestHandler):
    """aiohttp's connection, which holds a place; the time for a body is the handler's affair.

    `close_unopened` breaks off what has not become a connection yet: a TLS handshake.
    """

    def __init__(
        self,
        server: web.Server,
        limits: Limits,
        refused: Refused,
        failed: Callable[[BaseException | None], None],
        table: ConnectionTable,
        sockaddr: Any,
        peer: Peer,
        gone: Callable[[Connection], None],
    ) -> None:
        """`failed` is told what the handler raised."""
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            # A compressed body could unfold without bounds.
            auto_decompress=False,
            read_bufsize=READ_BUFFER,
            lingering_time=limits.lingering,
            keepalive_timeout=limits.idle + limits.headers,
        )
        self.sockaddr = sockaddr
        self.close_unopened: Callable[[], object] = lambda: None
        self._limits = limits
        self._on_refused = refused
        self._on_failed = failed
        self._table = table
        self._peer = peer
        self._sender = shown(sockaddr)
        self._on_gone = gone
        self._wire: asyncio.Transport | None = None
        self._lost = False
        self._answering: asyncio.Task[Any] | None = None
        self._bytes_came = False
        self._deadline: asyncio.TimerHandle | None = None

    def answering(self, request: web.BaseRequest, peer: Peer) -> bool:
        """The headers have come, and it is the handler that watches the time from here on.

        False if `peer`, for whom the request counts, has all its places in use.
        """
        self._answering = asyncio.current_task()
        self._sender = request.remote or ""
        self._set_deadline(None)
        if not self._table.begin(self, peer):
            return False
        request.content.on_eof(partial(self._complete, self._answering))
        return True

    def _complete(self, answering: asyncio.Task[Any] | None) -> None:
        # What is left of a refused body may end long after its answer.
        if self._answering is answering:
            self._table.busy(self)

    def answered(self) -> None:
        self._answering = None
        self._sender = shown(self.sockaddr)
        self._bytes_came = False
        self._table.idle(self, self._peer)
        if self._lost:
            self._on_gone(self)
        else:
            self._set_deadline(self._limits.idle)

    @property
    def is_open(self) -> bool:
        """Whether it ever was a connection, after its TLS handshake; also if it is lost by now."""
        return self._wire is not None

    def close_if_idle(self) -> None:
        if self._wire is None:
            self.close_unopened()
        elif self._answering is None:
            self.force_close()

    def cut(self) -> None:
        """Drop the connection at once, whatever is under way."""
        if self._wire is None:
            self.close_unopened()
        elif not self._lost:
            self._wire.abort()
        elif self._answering is not None:
            self._answering.cancel()

    def evict(self, reason: str) -> None:
        self._refused(reason)
        self.cut()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        self._table.idle(self)
        self._set_deadline(self._limits.headers)

    def data_received(self, data: bytes) -> None:
        if not self._bytes_came:
            self._bytes_came = True
            if self._answering is None:
                self._set_deadline(self._limits.headers)
        self._table.received(self, len(data))
        if self._wire is not None and not self._wire.is_closing():  # it may have been evicted
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._lost = True
        self._set_deadline(None)
        super().connection_lost(exc)
        # An answer that goes on without its peer holds the place: else hanging up would be a way to
        # have any number of them.
        if self._answering is None:
            self._on_gone(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it may quote the peer
    ) -> web.StreamResponse:
        """Answer what is not HTTP, and what our own handler failed on."""
        gone = self._lost or self._wire is None or self._wire.is_closing()
        if gone and isinstance(exc, ConnectionError):
            raise exc  # Someone hung up: nothing of ours failed, and nobody waits for an answer.
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun, an error can no longer be told.")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._on_failed(exc)
            status, reason = HTTPStatus.SERVICE_UNAVAILABLE, "Something of ours failed."
        else:
            reason = "The request is not valid HTTP."
        self._on_refused(status, reason, request.remote or "")
        answer = web.Response(status=status, text=f"{reason}\n", headers={"Server": SERVER})
        answer.force_close()
        return answer

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        loop = asyncio.get_running_loop()
        self._deadline = None if seconds is None else loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        if self._bytes_came:
            self._refused("The request did not come in time.")
        self.cut()

    def _refused(self, reason: str) -> None:
        self._on_refused(HTTPStatus.REQUEST_TIMEOUT, reason, self._sender)


def shown(sockaddr: Any) -> str:
    """Return the host of an address as sockets give it; that of a Unix socket is its name."""
    return str(sockaddr[0] if isinstance(sockaddr, tuple) else sockaddr or "")
