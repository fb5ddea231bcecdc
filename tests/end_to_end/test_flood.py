"""What peers who never stop sending can make the daemon hold in memory: next to nothing.

aiohttp before 3.14.1 put every pipelined request into a queue without a bound.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Running
from tests.end_to_end.webhooks import reachable

PEERS = 4
BYTES = 16 * 1024 * 1024
"""What each peer wants to send; as requests in a queue that is many times as much in memory."""
SECONDS = 6.0
"""After which a peer that is not read from gives up; a longer time lets more memory be taken."""
ROOM = 24 * 1024 * 1024
"""In bytes; with a bound it was 2 MB at most, without one 46 to 127 MB in the same time."""

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: home\r\n\r\n"


def post(body: bytes) -> bytes:
    return b"POST /sns HTTP/1.1\r\nHost: home\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("kind", ["health", "true notifications"])
async def test_endless_requests_stay_outside(kind: str, tmp_path: Path, s3: S3Double) -> None:
    async with reachable(tmp_path, s3.environment()) as home:
        daemon = home.start()
        await asyncio.to_thread(daemon.until, "listening")
        notification = home.notification("one", "anna@example.com")
        assert await home.announce("two", "anna@example.com") == 200
        request = {"health": HEALTH, "true notifications": post(notification)}[kind]
        before = most_memory(daemon)
        sent = await asyncio.to_thread(flood, home.port, request)
        grown = most_memory(daemon) - before
        print(f"{kind}: {sent >> 20} MB sent, {grown >> 20} MB more in memory")
        assert grown < ROOM
        assert await home.announce("three", "anna@example.com") == 200, "others are still heard"


def flood(port: int, request: bytes) -> int:
    """Send from a few connections at once, reading nothing; return how many bytes were taken."""
    with ThreadPoolExecutor(PEERS) as peers:
        return sum(peers.map(lambda _: send(port, request), range(PEERS)))


def send(port: int, request: bytes) -> int:
    block = request * (65_536 // len(request) + 1)
    end = time.monotonic() + SECONDS
    sent = 0
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.settimeout(1)
        for data in itertools.repeat(block):
            left = memoryview(data)
            while left:
                try:
                    count = peer.send(left)
                except TimeoutError:
                    count = 0  # nobody reads: that is as it should be
                except OSError:
                    return sent  # cut off: so is that
                left, sent = left[count:], sent + count
                if sent >= BYTES or time.monotonic() > end:
                    return sent
    raise AssertionError("there is always more to send")


def most_memory(running: Running) -> int:
    """Return the most that the process ever held, in bytes."""
    status = Path(f"/proc/{running.pid}/status").read_text()
    found = re.search(r"^VmHWM:\s+([0-9]+) kB$", status, re.MULTILINE)
    assert found
    return int(found[1]) * 1024
