"""The webmail on this machine, served by aiohttp on loopback only.

Everybody with an account on this machine can reach it, and has to sign in. A stranger's host name
that leads to 127.0.0.1 (DNS rebinding) is recognized by the Host header.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from postamt_sync.webmail.exchange import ALWAYS, WebRequest, query_fields
from postamt_sync.webmail.site import HEADERS, policy, site
from postamt_sync.webmail.webmail import Webmail

LARGEST_REQUEST = 60 << 20
"""Bytes: a mail with its attachments in base64."""


def loopback_origins(port: int) -> tuple[str, ...]:
    """Return the origins by which a browser on this machine knows us."""
    return tuple(f"http://{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]"))


class LocalServer:
    """Serves a webmail's page and API on a listening socket."""

    def __init__(self, listening: socket.socket, webmail: Webmail, day_origin: str = "") -> None:
        """`day_origin` is where the page uploads large attachments, "" for nowhere."""
        elsewhere = [day_origin] if day_origin else []
        self._headers = {**HEADERS, "Content-Security-Policy": policy(*elsewhere)}
        self._listening = listening
        port = listening.getsockname()[1]
        self._hosts = {origin.removeprefix("http://") for origin in loopback_origins(port)}
        self._webmail = webmail
        self.url = f"http://127.0.0.1:{port}/"

    async def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until cancelled. `ready` is called as soon as requests are answered."""
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            await web.SockSite(runner, self._listening).start()
            ready()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Host", "").lower() not in self._hosts:
            return web.Response(
                status=HTTPStatus.MISDIRECTED_REQUEST,
                text="This is only answered at a loopback address.\n",
                headers=ALWAYS,
            )
        path = request.rel_url.raw_path
        if request.method in {"GET", "HEAD"} and (file := site().get(path)) is not None:
            headers = {**self._headers, "Cache-Control": "no-cache", "Content-Type": file.type}
            return web.Response(body=file.content, headers=headers)
        asked = WebRequest(
            request.method,
            path,
            query_fields(request.rel_url.raw_query_string),
            {name.lower(): value for name, value in request.headers.items()},
            await request.read(),
            request.remote or "",
        )
        answer = await asyncio.to_thread(self._webmail.answer, asked)
        said = web.Response(status=answer.status, body=answer.body, headers=answer.all_headers)
        for each in answer.cookies:
            said.headers.add("Set-Cookie", each)
        return said


def listen_on_loopback(port: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1; port 0 means a free one. Raises OSError."""
    listening = socket.socket()
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(64)
    except BaseException:
        listening.close()
        raise
    return listening
