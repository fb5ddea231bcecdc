"""The admin listener: plain HTTP on loopback or a Unix socket, read-only.

Everyone with an account on this machine may look; at a Unix socket, everyone who may write to it.
Web pages in a browser on this machine may not, though they can send requests here: a name of theirs
that leads to 127.0.0.1 (DNS rebinding) is recognized by the Host header, a request that another
site causes by Sec-Fetch-Site (W3C, Fetch Metadata), and no answer may be framed, embedded or read
from elsewhere.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from postamt_sync.config import Settings
from postamt_sync.config.listen import UNIX, is_loopback, parse_listen, unix_path
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.http.connection import Limits
from postamt_sync.http.listener import Listener
from postamt_sync.http.sockets import bind, bind_unix
from postamt_sync.status.report import Runtime
from postamt_sync.status.report_cache import ReportCache

LIMITS = Limits(connections=32)
VIEWS = {"/": "postamt_sync.status.page", "/metrics": "postamt_sync.status.metrics"}
"""Each module is imported on its first request, since mail needs no template engine.

It has `render(report, runtime) -> bytes`, `CONTENT_TYPE` and, for a page, `POLICY`.
"""
MAIL_VIEW = "postamt_sync.status.mail_page"
MAIL = re.compile(r"/mail/[0-9a-f]{24}", re.ASCII)
"""The path of the page of one mail, by its ID."""
NO_SUCH_MAIL = b"The ledger knows no mail with this id.\n"
AGAIN = 60
"""Seconds after which a browser tries again if we could not answer."""
METHODS = ("GET", "HEAD")
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NOTHING_ALLOWED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    policy: str = NOTHING_ALLOWED


class StatusServer:
    """Shows how things stand to everyone on this machine."""

    def __init__(
        self,
        listen: str,
        reports: ReportCache,
        runtime: Callable[[], Runtime],
        events: Events,
        settings: Callable[[], Settings] | None = None,
    ) -> None:
        """`listen` is a loopback address with its port, or `unix:` and a path.

        `runtime` and `settings` are called in the event loop; without `settings` there are no
        pages of single mails.
        """
        self._listen = listen
        self._reports = reports
        self._runtime = runtime
        self._events = events
        self._settings = settings
        self._one_mail_at_a_time = asyncio.Lock()
        self._listener = Listener(self._answer, lambda *_: None, events, LIMITS)

    def open(self) -> None:
        """Begin to answer. If that fails, log it and do without: mail matters more."""
        try:
            sockets = self._bind()
        except PostamtError as error:
            self._events.admin_off(str(error))
            return
        self._listener.start(sockets)
        for listening in sockets:
            self._events.showing(_url(listening))

    def _bind(self) -> list[socket.socket]:
        path = unix_path(self._listen)
        if path is not None:
            return [bind_unix(path, "admin.listen")]
        address = parse_listen(self._listen)
        return bind([(address.host, address.port)], "admin.listen")

    async def close(self) -> None:
        """Stop answering at once."""
        await self._listener.close(0)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = _refusal(request)
        if answer is None and request.path in VIEWS:
            answer = await self._view(VIEWS[request.path])
        elif answer is None:
            answer = await self._mail(request.path.rpartition("/")[2])
        headers = {
            **HEADERS,
            "Content-Security-Policy": answer.policy,
            "Content-Type": answer.content_type,
        }
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(METHODS)
        if answer.status is HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Refresh"] = str(AGAIN)  # a page that was left open recovers by itself
        response = web.Response(status=answer.status, body=answer.body, headers=headers)
        if answer.status is not HTTPStatus.OK:
            response.force_close()
        return response

    async def _mail(self, mail: str) -> _Answer:
        """Answer with the page of one mail, by its ID. Each request searches the Maildirs."""
        if self._settings is None:
            return _Answer(HTTPStatus.NOT_FOUND, NO_SUCH_MAIL)
        settings = self._settings()

        def render() -> _Answer:
            page, view = (importlib.import_module(name) for name in (VIEWS["/"], MAIL_VIEW))
            shown = view.render_mail(settings, mail)
            if shown is None:
                return _Answer(HTTPStatus.NOT_FOUND, NO_SUCH_MAIL)
            return _Answer(HTTPStatus.OK, shown, page.CONTENT_TYPE, page.POLICY)

        async with self._one_mail_at_a_time:
            try:
                return await asyncio.to_thread(render)
            except PostamtError as error:
                return _Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())

    async def _view(self, module: str) -> _Answer:
        try:
            report = await self._reports.latest()
        except PostamtError as error:
            return _Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode())
        runtime = self._runtime()

        def render() -> _Answer:
            view = importlib.import_module(module)
            policy = getattr(view, "POLICY", NOTHING_ALLOWED)
            return _Answer(HTTPStatus.OK, view.render(report, runtime), view.CONTENT_TYPE, policy)

        return await asyncio.to_thread(render)


def _url(listening: socket.socket) -> str:
    name = listening.getsockname()
    if not isinstance(name, tuple):
        return f"{UNIX}{os.fsdecode(name)}"
    host, port = name[:2]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _refusal(request: web.BaseRequest) -> _Answer | None:
    """Return the answer that refuses a request, or None if it is allowed."""
    if not _asks_for_us(request.headers.get("Host", "")):
        return _Answer(
            HTTPStatus.MISDIRECTED_REQUEST,
            b"Only asked for as localhost or by a loopback address is this answered: "
            b"any other name may be a stranger's that leads here.\n",
        )
    if _is_foreign(request.headers):
        return _Answer(HTTPStatus.FORBIDDEN, b"Another site may not ask for this.\n")
    if request.path not in VIEWS and not MAIL.fullmatch(request.path):
        return _Answer(HTTPStatus.NOT_FOUND, b"There are / and /metrics.\n")
    if request.method not in METHODS:
        return _Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"This can only be read.\n")
    return None


def _asks_for_us(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _is_foreign(headers: Mapping[str, str]) -> bool:
    """Tell whether another site caused a request; a link that a person followed does not count."""
    if headers.get("Sec-Fetch-Site", "none") in {"none", "same-origin"}:
        return False
    followed = (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest"))
    return followed != ("navigate", "document")
