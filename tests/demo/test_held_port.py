import errno
import socket
from contextlib import closing

import pytest

from postamt_sync.demo.held_port import hold_port
from postamt_sync.http.sockets import bind


def test_a_server_starts_on_a_held_port_and_again() -> None:
    with closing(hold_port()) as held:
        address = held.getsockname()
        for _ in range(2):
            (server,) = bind([address])
            with closing(server):
                server.listen()
                socket.create_connection(address, 10).close()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, 10)


def test_nobody_is_given_a_held_port_by_chance() -> None:
    with closing(hold_port()) as held, socket.socket() as other:
        with pytest.raises(OSError, match="in use") as refused:
            other.bind(held.getsockname())
        assert refused.value.errno == errno.EADDRINUSE


def test_a_port_is_free_once_it_is_held_no_more() -> None:
    held = hold_port()
    address = held.getsockname()
    held.close()
    with socket.socket() as other:
        other.bind(address)
