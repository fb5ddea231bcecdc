"""Strangers who hold what connections they can: true notifications from others come through.

The times are those of tests/benchmarks/siege.py; here they are only shown (pytest -rP).
"""

from __future__ import annotations

import asyncio
import os
import re
import resource
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.doubles.besieger import besieged
from tests.doubles.reverse_proxy import reverse_proxy
from tests.doubles.s3 import S3Double
from tests.doubles.sns import certificate_pem, key_pem, private_key
from tests.end_to_end.home import PATIENCE, REPOSITORY, Running
from tests.end_to_end.test_daemon import ACTIVATED, COMMAND
from tests.end_to_end.test_flood import most_memory
from tests.end_to_end.webhooks import Reachable, reachable
from tests.support.campaign import spread

ANOTHER = "127.0.0.2"
MIXED = ("silent", "quiet", "headers", "body", "garbage")
FIFTY = tuple(f"127.0.1.{number}" for number in range(1, 51))


@pytest.fixture
async def home(tmp_path: Path, s3: S3Double) -> AsyncIterator[Reachable]:
    async with reachable(tmp_path, s3.environment()) as home:
        yield home


async def started(home: Reachable, **overrides: str) -> Running:
    daemon = home.start(**overrides)
    await asyncio.to_thread(daemon.until, "looked", source="reconcile")
    return daemon


async def true_notifications(
    home: Reachable, url: str, host: str = ANOTHER, count: int = 5, **tls: bool
) -> None:
    """Each comes on a connection of its own, and must be answered 200."""
    for number in range(count):
        begun = time.monotonic()
        notification = home.notification(f"incoming/true{number}", "anna@example.com")
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(local_addr=(host, 0)),
                timeout=aiohttp.ClientTimeout(total=PATIENCE),
            ) as session,
            session.post(url, data=notification, **tls) as answer,
        ):
            assert answer.status == 200
        print(f"{time.monotonic() - begun:.3f} s")


@pytest.mark.parametrize(
    ("count", "kinds", "peers", "rate"),
    spread(
        [
            (512, ("quiet",), ("127.0.0.1",), 7),
            (700, ("quiet",), ("127.0.0.1",), 7),
            (2000, ("silent",), ("127.0.0.1",), 100),
            (2000, ("headers",), ("127.0.0.1",), 100),
            (2000, ("body",), ("127.0.0.1",), 100),
            (2000, ("pipelined", "old"), ("127.0.0.1",), 100),
            (300, ("fat",), FIFTY, 20),
            (400, ("fat",), ("127.0.0.1",), 20),
            (2000, MIXED, FIFTY, 100),
        ],
        4,
    ),
    ids=lambda value: "-".join(value)[:40] if isinstance(value, tuple) else str(value),
)
async def test_besieged(
    home: Reachable, count: int, kinds: tuple[str, ...], peers: tuple[str, ...], rate: float
) -> None:
    daemon = await started(home)
    async with besieged(("127.0.0.1", home.port), count, kinds, peers, rate):
        await true_notifications(home, f"http://127.0.0.1:{home.port}/sns")
    taken = most_memory(daemon)
    print(f"{taken >> 20} MB at most")
    assert 2 * taken <= allowed_memory(), "the unit leaves room for what nobody thought of"
    assert daemon.events("cannot accept connections") == []
    assert daemon.events("cannot answer a request") == []
    assert await asyncio.to_thread(daemon.stop) == 0


async def test_besieged_over_tls(home: Reachable) -> None:
    certificate, key = home.root / "certificate.pem", home.root / "key.pem"
    certificate.write_bytes(certificate_pem(private_key(1), name="home.example.com"))
    key.write_bytes(key_pem(private_key(1)))
    home.configure_tls(certificate, key)
    await started(home)
    address, url = ("127.0.0.1", home.port), f"https://127.0.0.1:{home.port}/sns"
    async with (
        besieged(address, 600, ("silent",)),
        besieged(address, 400, MIXED, FIFTY, tls=True),
    ):
        await true_notifications(home, url, ssl=False)


async def test_besieged_over_ipv6(home: Reachable) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    overrides = {"POSTAMT_SYNC_WEBHOOK__LISTEN": f'["127.0.0.1:{home.port}", "[::1]:{home.port}"]'}
    await started(home, **overrides)
    async with besieged(("::1", home.port), 1000, MIXED, ("::1",), 100):
        await true_notifications(home, f"http://127.0.0.1:{home.port}/sns")
        await true_notifications(home, f"http://[::1]:{home.port}/sns", "::1")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded"])
async def test_besieged_behind_a_proxy(home: Reachable, header: str) -> None:
    trusted = {"POSTAMT_SYNC_WEBHOOK__TRUSTED_PROXIES": "127.0.0.1"}
    daemon = await started(home, **trusted)
    async with (
        reverse_proxy(f"http://127.0.0.1:{home.port}", header) as port,
        besieged(("127.0.0.1", port), 600, ("body",), ("127.0.0.3",), 100),
    ):
        await true_notifications(home, f"http://127.0.0.1:{port}/sns")
    refused = [line for line in daemon.events("notice refused") if "of one peer" in line["reason"]]
    assert {line["peer"] for line in refused} == {"127.0.0.3"}


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
async def test_besieged_on_a_socket_of_systemd(
    home: Reachable, tmp_path: Path, family: socket.AddressFamily
) -> None:
    with socket.socket(family) as listening:
        path = str(tmp_path / "s")
        listening.bind(("127.0.0.1", 0) if family == socket.AF_INET else path)
        listening.listen()
        command = (*COMMAND[1:], "run", "--debug", "--config", str(home.config))
        fd = listening.fileno()
        daemon = home.start("-c", ACTIVATED, str(fd), *command, pass_fds=(fd,))
        await asyncio.to_thread(daemon.until, "looked", source="reconcile")
        sock = "" if family == socket.AF_INET else path
        port = listening.getsockname()[1] if family == socket.AF_INET else 1
        async with reverse_proxy(f"http://127.0.0.1:{port}", sock=sock) as proxy:
            front = port if family == socket.AF_INET else proxy
            async with besieged(("127.0.0.1", front), 600, ("body", "quiet")):
                await true_notifications(home, f"http://127.0.0.1:{front}/sns")


async def test_without_file_descriptors(home: Reachable) -> None:
    """They run out under the running daemon, and come back."""
    daemon = await started(home)
    soft, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    async with besieged(("127.0.0.1", home.port), 300, ("silent", "headers"), FIFTY, 50):
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (60, hard))
        await asyncio.to_thread(daemon.until, "cannot accept connections")
        spent = _cpu_seconds(daemon.pid)
        await asyncio.sleep(2)
        print(f"{_cpu_seconds(daemon.pid) - spent:.2f} s of CPU in 2 s")
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))
        await true_notifications(home, f"http://127.0.0.1:{home.port}/sns")
    assert len(daemon.events("cannot accept connections")) == 1
    assert await asyncio.to_thread(daemon.stop) == 0


def allowed_memory() -> int:
    """Return what the unit allows, in bytes."""
    unit = (REPOSITORY / "systemd" / "postamt-sync.service").read_text()
    found = re.search(r"^MemoryMax=([0-9]+)M$", unit, re.MULTILINE)
    assert found
    return int(found[1]) << 20


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
