"""A listener with a handler that waits at a gate, and clients that are closed in any case."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from postamt_sync.events import Events
from postamt_sync.http.listener import Listener
from postamt_sync.http.peers import TrustedProxies
from postamt_sync.http.sockets import bind
from tests.doubles.inbox import MemoryLog

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Scene:
    """A listener whose handler waits at a gate, and what it said."""

    def __init__(self, limits, sockets):
        self.log = MemoryLog()
        self.refused = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = 0
        self.finished = 0
        self.bodies = []
        self.clients = []
        self.sockets = sockets or bind([("127.0.0.1", 0)])
        self.address = self.sockets[0].getsockname()[:2]
        self.proxies = TrustedProxies()
        self.listener = Listener(
            self.handle,
            lambda *what: self.refused.append(what),
            Events(self.log),
            limits,
            lambda: self.proxies,
        )

    async def handle(self, request):
        self.entered += 1
        self.bodies.append(await request.read())
        await self.gate.wait()
        self.finished += 1
        return web.Response(text="hello")

    async def connect(self, number=0, **options):
        """Connect to the listening socket of this number; closed at the end in any case."""
        address = self.sockets[number].getsockname()[:2] if number else self.address
        reader, writer = await asyncio.open_connection(*address, **options)
        self.clients.append(writer)
        return reader, writer


@asynccontextmanager
async def listening(limits=None, sockets=None, tls=None):
    scene = Scene(limits, sockets)
    if tls:
        scene.listener.replace_tls(*tls)
    scene.listener.start(scene.sockets)
    try:
        yield scene
    finally:
        scene.gate.set()
        for writer in scene.clients:
            writer.close()
        await scene.listener.close(1)
        for writer in scene.clients:
            with suppress(OSError):
                await writer.wait_closed()


async def until(condition):
    """Wait for what must come; the test's own time limit ends a wait in vain."""
    while not condition():
        await asyncio.sleep(0.005)


async def answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split(b" ")[1], await reader.readexactly(5)


def trusting_anyone():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
