"""The name server of `tests/doubles/dns.py` in a thread, for tests that are not asynchronous."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.doubles.dns import NameServer


class ThreadedNameServer:
    """A name server on loopback; `address` is where."""

    def __init__(self, server: NameServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self.address = server.address

    def add(self, name: str, kind: str, *data: str) -> None:
        async def added() -> None:
            self._server.add(name, kind, *data)

        asyncio.run_coroutine_threadsafe(added(), self._loop).result()


@contextmanager
def name_server() -> Iterator[ThreadedNameServer]:
    """Serve for as long as the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = NameServer()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        yield ThreadedNameServer(server, loop)
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
