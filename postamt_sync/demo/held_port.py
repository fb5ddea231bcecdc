"""A port of 127.0.0.1 that is kept for a server which is yet to start, or to start again."""

from __future__ import annotations

import socket


def hold_port() -> socket.socket:
    """Return a socket bound to a free port, which nobody is given by chance until it is closed.

    It never listens. A server that names the port and sets SO_REUSEADDR, as servers do, binds and
    listens beside it; without one, connections are refused as if nobody had the port.
    """
    held = socket.socket()
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
    except OSError:
        held.close()
        raise
    return held
