"""A free port of 127.0.0.1 for a program that cannot choose one itself."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port that was free a moment ago; somebody else may take it before its user does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
