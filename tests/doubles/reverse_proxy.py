"""A reverse proxy as it stands before the webhook: it names whom it forwards for, at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web


@asynccontextmanager
async def reverse_proxy(
    to: str, header: str = "X-Forwarded-For", sock: str = ""
) -> AsyncIterator[int]:
    """Forward everything to the origin `to`, or to the Unix socket `sock`; yields the port.

    Bodies are handed on as they come, and what the client says of itself stays in front.
    """
    connector = aiohttp.UnixConnector(sock, limit=0) if sock else aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def forward(request: web.BaseRequest) -> web.StreamResponse:
            node = f"for={request.remote}" if header == "Forwarded" else str(request.remote)
            said = ", ".join((*request.headers.getall(header, ()), node))
            headers = {"Content-Length": request.headers.get("Content-Length", "0"), header: said}
            try:
                async with session.request(
                    request.method, f"{to}{request.path_qs}", headers=headers, data=request.content
                ) as answer:
                    return web.Response(status=answer.status, body=await answer.read())
            except (aiohttp.ClientError, ConnectionError):
                return web.Response(status=502)

        runner = web.ServerRunner(web.Server(forward, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()
