"""Against real sockets, and sockets handed over to a real child process."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postamt_sync.app.sd_notify import FIRST_INHERITED, Systemd

ROOT = Path(__file__).parents[2]


@contextmanager
def manager(address: str) -> Iterator[Callable[[], str]]:
    """What systemd does: listen at an address and read one datagram after the other."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + address[1:] if address.startswith("@") else address)
        receiver.settimeout(60)
        yield lambda: receiver.recv(4096).decode()


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "path":
        return str(tmp_path / "notify")
    return f"@postamt-sync-test-{secrets.token_hex(8)}"


def test_each_notice_is_one_datagram(address: str) -> None:
    with manager(address) as received:
        systemd = Systemd({"NOTIFY_SOCKET": address})
        systemd.ready("3 mails waiting")
        assert received() == "READY=1\nSTATUS=3 mails waiting"
        systemd.status("all well")
        assert received() == "STATUS=all well"
        systemd.alive()
        assert received() == "WATCHDOG=1"
        systemd.stopping()
        assert received() == "STOPPING=1\nSTATUS=stopping"


def test_a_reload_says_when_it_began(address: str) -> None:
    with manager(address) as received:
        Systemd({"NOTIFY_SOCKET": address}).reloading()
        first, _, second = received().partition("\n")
    assert first == "RELOADING=1"
    name, _, moment = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert moment.isdecimal()


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "@nobody-listens-here", "x" * 200])
def test_nobody_to_talk_to_is_no_trouble(address: str) -> None:
    Systemd({"NOTIFY_SOCKET": address} if address else {}).ready("fine")


@pytest.mark.timeout(60)
def test_a_manager_that_does_not_read_stops_nothing(address: str) -> None:
    with manager(address) as received:
        systemd = Systemd({"NOTIFY_SOCKET": address})
        for _ in range(2000):  # more than it has room for
            systemd.alive()
            systemd.status("all well")
        reading = threading.Timer(0.1, received)
        reading.start()
        systemd.stopping()  # for which room is waited for
        reading.join()
        while (said := received()) != "STOPPING=1\nSTATUS=stopping":
            assert said in {"WATCHDOG=1", "STATUS=all well"}


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_asked(
    environ: dict[str, str], interval: float | None
) -> None:
    assert Systemd(environ).watchdog_interval == interval


# Socket activation: the child finds its sockets at descriptor 3 and up

CHILD = """
import os, sys
if sys.argv[1] == "ours":
    os.environ["LISTEN_PID"] = str(os.getpid())
from postamt_sync.app.sd_notify import Systemd
for inherited in Systemd().inherited_sockets():
    with inherited:
        print(inherited.getsockname()[1], inherited.get_inheritable(), inherited.family.name)
"""


def activated(whose: str, sockets: list[socket.socket], environ: dict[str, str]) -> list[str]:
    """Start a child that has these sockets where systemd puts them."""
    fds = [listening.fileno() for listening in sockets]
    moves = " ".join(f"{FIRST_INHERITED + n}<&{fd}" for n, fd in enumerate(fds))
    started = subprocess.run(
        ["bash", "-c", f'exec "$@" {moves}', "bash", sys.executable, "-c", CHILD, whose],
        cwd=ROOT,
        env={**os.environ, **environ},
        pass_fds=fds,
        capture_output=True,
        text=True,
        check=True,
    )
    return started.stdout.splitlines()


@contextmanager
def listening() -> Iterator[list[socket.socket]]:
    """Two sockets, at descriptors out of the way of those that systemd uses."""
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    moved = []
    for each in made:
        with each:
            copies = [each.dup()]
            while copies[-1].fileno() < 10:
                copies.append(each.dup())
            moved.append(copies.pop())
            for unwanted in copies:
                unwanted.close()
    try:
        yield moved
    finally:
        for each in moved:
            each.close()


def test_inherited_sockets_come_in_order_and_go_no_further() -> None:
    with listening() as sockets:
        ports = [each.getsockname()[1] for each in sockets]
        told = activated("ours", sockets, {"LISTEN_FDS": "2"})
    assert told == [f"{port} False AF_INET" for port in ports]


@pytest.mark.parametrize(
    ("whose", "environ"),
    [
        ("someone's", {"LISTEN_FDS": "2", "LISTEN_PID": "1"}),
        ("nobody's", {"LISTEN_FDS": "2", "LISTEN_PID": ""}),
        ("ours", {"LISTEN_FDS": ""}),
        ("ours", {"LISTEN_FDS": "two"}),
        ("ours", {"LISTEN_FDS": "0"}),
    ],
)
def test_what_was_not_meant_for_us_is_left_alone(whose: str, environ: dict[str, str]) -> None:
    with listening() as sockets:
        assert activated(whose, sockets, environ) == []
