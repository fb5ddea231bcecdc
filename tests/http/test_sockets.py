"""Sockets of the addresses, and the certificate shown there."""

from __future__ import annotations

import datetime as dt
import os
import pty
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.http.sockets import bind, tls_context
from tests.doubles.sns import certificate_pem, key_pem, private_key


@pytest.fixture
def bound():
    sockets = []
    yield sockets
    for each in sockets:
        each.close()


def open_sockets() -> int:
    """How many file descriptors of this process are sockets."""
    return sum(fd.resolve().name.startswith("socket:") for fd in Path("/proc/self/fd").iterdir())


@pytest.fixture
def pair(tmp_path):
    def write(certificate_of=0, key_of=0, password=b""):
        certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
        certificate.write_bytes(certificate_pem(private_key(certificate_of)))
        key.write_bytes(key_pem(private_key(key_of), password))
        return certificate, key

    return write


def test_ipv4_and_ipv6_of_one_port_stand_side_by_side(bound):
    bound += bind([("127.0.0.1", 0)])
    bound += bind([("::", bound[0].getsockname()[1])])
    assert [each.family for each in bound] == [socket.AF_INET, socket.AF_INET6]
    assert bound[1].getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1


def test_a_name_is_bound(bound):
    bound += bind([("localhost", 0)])
    assert bound


def test_a_port_can_be_taken_again_at_once(bound):
    (listening,) = bind([("127.0.0.1", 0)])
    with listening:
        listening.setblocking(True)
        listening.listen()
        address = listening.getsockname()
        client = socket.create_connection(address)
        accepted, _ = listening.accept()
        accepted.close()
        client.close()
    bound += bind([address])


def test_a_port_in_use_is_a_temporary_trouble(bound):
    bound += bind([("127.0.0.1", 0)])
    bound[0].listen()
    port = bound[0].getsockname()[1]
    before = open_sockets()
    with pytest.raises(TryLaterError, match=f"Another program listens on 127.0.0.1:{port}"):
        bind([("127.0.0.1", 0), ("127.0.0.1", port)])
    assert open_sockets() == before


def test_an_address_of_another_machine():
    with pytest.raises(MisconfiguredError, match=r"does not have the address 192\.0\.2\.1"):
        bind([("192.0.2.1", 0)])


def test_an_unknown_host():
    with pytest.raises(MisconfiguredError, match="not known"):
        bind([("no such host", 0)])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on any port")
def test_a_port_that_is_not_for_us():
    with pytest.raises(MisconfiguredError, match=r"may not listen on 127.0.0.1:1\b"):
        bind([("127.0.0.1", 1)])


def test_old_tls_is_refused(pair):
    assert tls_context(*pair()).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_certificate_of_another_key(pair):
    with pytest.raises(MisconfiguredError, match="together"):
        tls_context(*pair(certificate_of=0, key_of=1))


OPEN_ON_A_TERMINAL = """
import os, sys
from pathlib import Path
from postamt_sync.errors import MisconfiguredError
from postamt_sync.http.sockets import tls_context
os.open(os.ttyname(0), os.O_RDWR)  # the first terminal that a session's leader opens is its own
try:
    tls_context(Path(sys.argv[1]), Path(sys.argv[2]))
except MisconfiguredError:
    print("refused")
"""


def test_the_password_of_a_key_is_not_asked_for(pair):
    """OpenSSL would wait at the terminal forever, and the daemon with it."""
    master, slave = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", OPEN_ON_A_TERMINAL, *map(str, pair(password=b"secret"))],
            stdin=slave,
            capture_output=True,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
            timeout=30,
            check=True,
        )
    finally:
        os.close(master)
        os.close(slave)
    assert done.stdout == b"refused\n"


def test_garbage_is_no_pair(tmp_path, pair):
    certificate, key = pair()
    certificate.write_bytes(b"half sav")
    with pytest.raises(MisconfiguredError, match="together"):
        tls_context(certificate, key)


def test_a_missing_file_is_named(tmp_path, pair):
    certificate, _ = pair()
    with pytest.raises(MisconfiguredError, match=r"none\.pem cannot be read: No such file"):
        tls_context(certificate, tmp_path / "none.pem")


def test_a_certificate_out_of_its_time_is_still_shown(tmp_path):
    """Refusing it would close the door altogether; `doctor` tells of it."""
    day = dt.timedelta(days=1)
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.write_bytes(certificate_pem(private_key(), -9 * day, -1 * day))
    key.write_bytes(key_pem(private_key()))
    assert tls_context(certificate, key)
