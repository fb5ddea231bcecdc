"""Ports for those who must be told one before they bind it."""

from __future__ import annotations

import socket

_held: list[int] = []
"""Descriptors, for as long as this process lives."""


def reserved_port() -> int:
    """Return a port of 127.0.0.1 that the kernel gives to nobody else, now or later.

    It stays bound here, and is refused to whoever connects. Whoever says SO_REUSEADDR, as servers
    do, may bind it too while nobody listens there (socket(7)).
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port: int = holder.getsockname()[1]
    _held.append(holder.detach())
    return port
