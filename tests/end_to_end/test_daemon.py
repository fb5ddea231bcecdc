"""The daemon as a process: start, stop, one at a time, and what systemd hears of it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from postamt_sync.ledger.log_room import ROOM
from postamt_sync.ledger.store import FILE_NAME
from tests.doubles.s3 import S3Double
from tests.doubles.s3_faults import stall
from tests.end_to_end.home import BRUNO, COMMAND, PATIENCE, Home
from tests.end_to_end.letters import letter, letter_to_both, put
from tests.end_to_end.webhooks import Reachable, reachable


@pytest.fixture
async def household(tmp_path: Path, s3: S3Double) -> AsyncIterator[Reachable]:
    async with reachable(tmp_path, s3.environment()) as home:
        yield home


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_starts_delivers_and_stops_cleanly(
    home: Home, s3: S3Double, number: signal.Signals
) -> None:
    both, brunos = letter_to_both("both"), letter("brunos", BRUNO)
    put(s3, both, brunos)
    daemon = home.start()
    daemon.until("started")
    daemon.until("delivered", count=3)
    daemon.signal(number)
    assert daemon.ended() == 0, daemon.tail()
    assert daemon.events("stopping")[0]["signal"] == number.name
    assert daemon.said()[-1]["event"] == "stopped"
    assert daemon.events("delivered before the last stop") == [], "what is done is known to be"
    assert home.contents() == Counter([*both.expected(), *brunos.expected()])
    assert home.drafts() == []


def test_mailboxes_are_there_before_the_first_mail(home: Home) -> None:
    daemon = home.start()
    daemon.until("started")
    for root in home.maildirs.values():
        assert {path.name for path in root.iterdir()} >= {"tmp", "new", "cur"}
    assert daemon.stop() == 0


def test_room_is_made_in_the_log_of_the_ledger(home: Home) -> None:
    daemon = home.start()
    daemon.until("started")
    log = home.state / f"{FILE_NAME}-wal"
    daemon.wait(lambda: log.stat().st_size >= ROOM, "room in the log")
    assert daemon.stop() == 0


def test_a_second_signal_ends_it_at_once(home: Home) -> None:
    """A stop waits for the ledger, which another process holds here; a person need not."""
    daemon = home.start()
    daemon.until("looked", source="reconcile")
    with closing(sqlite3.connect(home.state / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        daemon.signal(signal.SIGHUP)
        daemon.until("reloaded")
        daemon.signal(signal.SIGTERM)
        daemon.until("stopping")
        assert daemon.process.poll() is None
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 128 + signal.SIGTERM


def test_a_mail_under_way_at_a_stop_comes_with_the_next_start(home: Home, s3: S3Double) -> None:
    one = letter("one", text="Tea? " * 400_000)  # more than is held in memory
    put(s3, one)
    s3.next(stall(400_000), of="objects")
    daemon = home.start()
    daemon.wait(home.drafts, "a draft")
    assert daemon.stop() == 0
    assert home.contents() == {}
    assert home.drafts() == []
    again = home.start()
    again.until("delivered")
    assert again.stop() == 0
    assert home.contents() == Counter(one.expected())


# One courier per state directory


def test_a_second_daemon_names_the_first(home: Home) -> None:
    daemon = home.start()
    daemon.until("started")
    second = home.do("run")
    assert second.returncode == 75
    said = " ".join(second.stderr.split())
    assert f"by postamt-sync run, process {daemon.pid}," in said
    assert "Wait until it has ended, or stop it" in said
    assert daemon.stop() == 0


def test_a_pass_beside_the_daemon_is_refused(home: Home, s3: S3Double) -> None:
    daemon = home.start()
    daemon.until("looked", source="reconcile")
    put(s3, letter("one"))
    code, said = home.sync()
    assert code == 75
    assert f"process {daemon.pid}" in said["error"]
    code, said = home.sync("--dry-run")
    assert (code, said["waiting"]) == (0, 1), "looking is allowed"
    assert home.contents() == {}
    daemon.kill()
    assert home.sync()[0] == 0, "a lock ends with its holder"


# What keeps it from starting


def test_a_broken_configuration_is_refused_with_every_key(home: Home) -> None:
    home.configure('\n[pol]\ninterval = 5\n\n[poll]\ninterval = "often"\n')
    done = home.do("run")
    assert done.returncode == 78
    assert "pol:" in done.stderr
    assert "poll.interval:" in done.stderr
    assert "Traceback" not in done.stderr


async def test_an_address_in_use_is_named(household: Reachable) -> None:
    with socket.create_server(("127.0.0.1", household.port)):
        done = await asyncio.to_thread(household.do, "run")
    assert done.returncode == 75
    said = " ".join(done.stderr.split())
    assert f"Another program listens on 127.0.0.1:{household.port} already." in said
    assert "choose another port" in said


async def test_an_unusable_certificate_is_named(household: Reachable) -> None:
    certificate, key = household.root / "certificate.pem", household.root / "key.pem"
    certificate.write_text("no certificate")
    key.write_text("no key")
    household.configure_tls(certificate, key)
    done = await asyncio.to_thread(household.do, "run")
    assert done.returncode == 78
    assert "certificate.pem" in done.stderr
    assert "nexpected error" not in done.stderr


async def test_an_sns_that_is_no_sns_ends_nothing(household: Reachable, s3: S3Double) -> None:
    """As behind the login page of a hotel: here the "SNS" answers everything with a PEM file."""
    daemon = household.start()
    failed = await asyncio.to_thread(daemon.until, "subscription not confirmed, will try again")
    assert "not AWS" in failed["reason"]
    one = letter("one")
    put(s3, one)
    assert await household.announce(one.key, "anna@example.com") == 200
    await asyncio.to_thread(daemon.until, "delivered")
    assert await asyncio.to_thread(daemon.stop) == 0


@contextmanager
def dripping() -> Iterator[tuple[str, threading.Event]]:
    """An "AWS" whose answers begin and never end; yield its URL, and whether it was asked."""
    asked, over = threading.Event(), threading.Event()

    def serve() -> None:
        with suppress(OSError), listening.accept()[0] as peer:
            peer.recv(65_536)
            asked.set()
            peer.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while not over.wait(0.2):  # no timeout for reading ever strikes
                peer.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve)
        server.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", asked
        finally:
            over.set()
            listening.shutdown(socket.SHUT_RDWR)
            server.join()


async def test_a_call_to_aws_without_an_answer_holds_up_no_stop(household: Reachable) -> None:
    with dripping() as (url, asked):
        daemon = household.start(AWS_ENDPOINT_URL_SNS=url)
        assert await asyncio.to_thread(asked.wait, PATIENCE)
        await asyncio.to_thread(daemon.until, "started")
        assert await asyncio.to_thread(daemon.stop) == 0
    assert daemon.said()[-1]["event"] == "stopped"


# systemd


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    """The socket of a service manager, and its name as NOTIFY_SOCKET gives it."""
    with (
        tempfile.TemporaryDirectory(prefix="n") as short,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening,
    ):
        listening.settimeout(PATIENCE)
        abstract = request.param == "abstract"
        name = f"@{Path(short).name}" if abstract else f"{short}/notify"
        listening.bind("\0" + name[1:] if abstract else name)
        yield listening, name


def heard_until(manager: socket.socket, first: str) -> list[list[str]]:
    """Return all datagrams up to the one that begins so, each as its lines."""
    datagrams: list[list[str]] = []
    while not datagrams or datagrams[-1][0] != first:
        datagrams.append(manager.recv(4096).decode().split("\n"))
    return datagrams


def test_systemd_is_told(home: Home, manager: tuple[socket.socket, str]) -> None:
    listening, name = manager
    daemon = home.start(NOTIFY_SOCKET=name, WATCHDOG_USEC="100000")
    first = heard_until(listening, "READY=1")
    assert first[-1] == ["READY=1", "STATUS=0 mails waiting"]
    how_it_goes = "STATUS=0 mails since start, 0 waiting"
    if [how_it_goes] not in first:  # the books are written beside everything else
        heard_until(listening, how_it_goes)
    for _ in range(2):
        heard_until(listening, "WATCHDOG=1")
    daemon.signal(signal.SIGHUP)
    *_, reload_line = heard_until(listening, "RELOADING=1")
    assert reload_line[1].removeprefix("MONOTONIC_USEC=").isdecimal()
    heard_until(listening, "READY=1")
    daemon.signal(signal.SIGTERM)
    assert heard_until(listening, "STOPPING=1")[-1] == ["STOPPING=1", "STATUS=stopping"]
    assert daemon.ended() == 0


ACTIVATED = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


async def test_who_calls_before_it_is_up_is_answered(household: Reachable, s3: S3Double) -> None:
    """Socket activation: systemd listens, the daemon takes the socket over with who waits."""
    one = letter("one")
    put(s3, one)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        async with aiohttp.ClientSession() as session:
            notification = household.notification(one.key, "anna@example.com")
            waiting = asyncio.create_task(
                session.post(f"http://127.0.0.1:{port}/sns", data=notification).__aenter__()
            )
            command = (*COMMAND[1:], "run", "--debug", "--config", str(household.config))
            fd = listening.fileno()
            daemon = household.start("-c", ACTIVATED, str(fd), *command, pass_fds=(fd,))
            assert (await waiting).status == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", household.port))
    await asyncio.to_thread(daemon.until, "delivered")
    assert await asyncio.to_thread(daemon.stop) == 0
    assert household.contents() == Counter(one.expected())
