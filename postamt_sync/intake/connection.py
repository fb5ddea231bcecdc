"""One HTTP connection, with a deadline for each moment at which the peer keeps us waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from postamt_sync.events import Events

SERVER = "postamt-sync"
"""The Server header: no versions for strangers."""

Refused = Callable[[int, str, str], None]
"""Told of what no handler saw or could answer: status, reason, peer."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener allows; times in seconds."""

    connections: int = 512
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
    """aiohttp's connection; the time for a body is the handler's affair."""

    def __init__(
        self,
        server: web.Server,
        limits: Limits,
        refused: Refused,
        events: Events,
        gone: Callable[[Connection], None],
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            # A compressed body could unfold without bounds.
            auto_decompress=False,
            lingering_time=limits.lingering,
            keepalive_timeout=limits.idle + limits.headers,
        )
        self._limits = limits
        self._on_refused = refused
        self._events = events
        self._on_gone = gone
        self._wire: asyncio.Transport | None = None
        self._answering = False
        self._bytes_came = False
        self._deadline: asyncio.TimerHandle | None = None

    def answering(self) -> None:
        """The handler has begun: from here on it watches the time."""
        self._answering = True
        self._set_deadline(None)

    def answered(self) -> None:
        self._answering = False
        self._bytes_came = False
        self._set_deadline(self._limits.idle)

    def close_if_idle(self) -> None:
        if not self._answering:
            self.force_close()

    def cut(self) -> None:
        """Drop the connection at once, whatever is under way."""
        if self._wire is not None:
            self._wire.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        self._set_deadline(self._limits.headers)

    def data_received(self, data: bytes) -> None:
        if not self._bytes_came:
            self._bytes_came = True
            if not self._answering:
                self._set_deadline(self._limits.headers)
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._set_deadline(None)
        super().connection_lost(exc)
        self._on_gone(self)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it may quote the peer
    ) -> web.StreamResponse:
        """Answer what is not HTTP, and what our own handler failed on."""
        if request.writer.output_size > 0:
            raise ConnectionError("The answer has begun, an error can no longer be told.")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._events.trouble("cannot answer a request", f"{type(exc).__name__}: {exc}")
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
            peer = self.peername
            self._on_refused(
                HTTPStatus.REQUEST_TIMEOUT,
                "The request did not come in time.",
                str(peer[0] if isinstance(peer, tuple) else peer or ""),
            )
        self.cut()
