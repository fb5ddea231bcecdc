"""What `reserved_port` promises, on this kernel."""

from __future__ import annotations

import socket

import pytest

from tests.support.ports import reserved_port


def test_whoever_is_told_it_may_listen_there() -> None:
    port = reserved_port()
    with socket.create_server(("127.0.0.1", port)) as server:
        with socket.create_connection(("127.0.0.1", port)):
            pass
        server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_the_kernel_gives_it_to_nobody_else() -> None:
    """It chooses among 28,000: one that it would give again comes up among so many."""
    reserved = {reserved_port() for _ in range(50)}
    assert len(reserved) == 50
    given = set()
    for _ in range(3000):
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", 0))
            given.add(other.getsockname()[1])
    assert not reserved & given
