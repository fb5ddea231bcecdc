"""A port of 127.0.0.1 that is reserved for a server which is yet to start, or to start again."""

from __future__ import annotations

import socket


def hold_port() -> socket.socket:
    """Return a socket bound to a free port; no process is given the port until it is closed.

    It never listens. A server that asks for the port and sets SO_REUSEADDR, as servers do, can
    bind and listen all the same; until then connections are refused as if the port were free.
    """
    held = socket.socket()
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
    except OSError:
        held.close()
        raise
    return held
