"""A server of the standard library's that serves from a thread while a block runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer

LOOKS_EVERY = 0.02
"""Seconds between a server's looks whether it shall end; half of the usual is waited for that."""


@contextmanager
def served(server: BaseServer) -> Iterator[None]:
    """Serve until the block ends; then the socket is closed and the thread has ended."""
    thread = threading.Thread(target=server.serve_forever, args=(LOOKS_EVERY,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
