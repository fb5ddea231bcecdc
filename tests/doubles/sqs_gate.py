"""A gate before SQS: passes calls on to the emulator, and lets a test act when one comes by."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"content-length", "transfer-encoding", "connection", "host"}


class SqsGate:
    """`stop` is awaited with each operation's name; what it answers True to goes no further.

    `visibility` replaces the seconds for which a receiver hides what it receives.
    """

    def __init__(self, upstream: str, session: aiohttp.ClientSession) -> None:
        self.url = ""
        self.stop: Callable[[str], Awaitable[bool]] | None = None
        self.visibility: int | None = None
        self._upstream = upstream
        self._session = session

    async def serve(self, request: web.Request) -> web.StreamResponse:
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        body = await request.read()
        if self.stop is not None and await self.stop(operation):
            return web.Response(status=503)
        if operation == "ReceiveMessage" and self.visibility is not None:
            body = json.dumps({**json.loads(body), "VisibilityTimeout": self.visibility}).encode()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP}
        async with self._session.post(self._upstream + "/", data=body, headers=headers) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower().startswith("x-amz")}
            return web.Response(
                status=answer.status,
                body=await answer.read(),
                headers=kept | {"Content-Type": "application/x-amz-json-1.0"},
            )


@asynccontextmanager
async def gate_before(upstream: str) -> AsyncIterator[SqsGate]:
    async with aiohttp.ClientSession() as session:
        gate = SqsGate(upstream, session)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", gate.serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        gate.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield gate
        finally:
            await runner.cleanup()
