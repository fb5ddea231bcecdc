"""A stranger who holds as many connections to a server as he can get, and gives none of them back.

    python -m tests.doubles.besieger host port --count 2000 --kinds quiet,headers,body

Says `standing` on a line of its own once he has tried for all of them; goes on, replacing what the
server closes, until his standard input ends. Then he says, as JSON, how it went.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

OPENINGS = {
    "quiet": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "silent": b"",
    "headers": b"POST /sns HTTP/1.1\r\nHost: x\r\n",
    "body": b"POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n{",
    "fat": b"POST /sns HTTP/1.1\r\nHost: x\r\nContent-Length: 1048576\r\n\r\n" + b" " * 1_000_000,
    "pipelined": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 1000,
    "old": b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01" * 20,
}
"""What each kind begins with."""
DRIPS = {"headers": b"a: b\r\n", "body": b" "}
"""What some kinds go on with, once a second: bytes come, the request never does."""
AT_ONCE = 100
PATIENCE = 5.0


class Hold(asyncio.Protocol):
    """One connection of his."""

    def __init__(self, besieger: Besieger, kind: str) -> None:
        self._besieger = besieger
        self._kind = kind
        self._dripping: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(OPENINGS[self._kind])
        self._besieger.held.add(self)
        self._drip()

    def data_received(self, data: bytes) -> None:
        self._besieger.counts[data.split(b" ")[1].decode()] += data.startswith(b"HTTP/")

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._dripping is not None:
            self._dripping.cancel()
        self._besieger.counts["closed by the server"] += 1
        self._besieger.held.discard(self)

    def _drip(self) -> None:
        if self._kind in DRIPS:
            self._transport.write(DRIPS[self._kind])
            self._dripping = asyncio.get_running_loop().call_later(1, self._drip)


class Besieger:
    """Holds `count` connections from the addresses `peers`, in turn, of the `kinds`, in turn."""

    def __init__(
        self,
        address: tuple[str, int],
        peers: Sequence[str],
        kinds: Sequence[str],
        count: int,
        rate: float,
        tls: bool,
    ) -> None:
        self.held: set[Hold] = set()
        self.counts: Counter[str] = Counter()
        self._address = address
        self._next = zip(itertools.cycle(peers), itertools.cycle(kinds), strict=False)
        self._count = count
        self._rate = rate
        self._tls = _trusting_anyone() if tls else None

    async def fill(self) -> None:
        """Try once for each of the connections."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one() -> None:
            async with gate:
                await self._open()

        await asyncio.gather(*(one() for _ in range(self._count)))

    async def renew(self) -> None:
        """For ever replace what was closed, `rate` a second at most."""
        opening: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(1 / self._rate)
            if len(self.held) + len(opening) < self._count:
                task = asyncio.create_task(self._open())
                opening.add(task)
                task.add_done_callback(opening.discard)

    async def _open(self) -> None:
        peer, kind = next(self._next)
        self.counts["tried"] += 1
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().create_connection(
                    lambda: Hold(self, kind), *self._address, local_addr=(peer, 0), ssl=self._tls
                )


def _trusting_anyone() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Siege:
    """A besieger in a process of his own; `lift` ends it and returns his counts."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def lift(self) -> dict[str, Any]:
        out, _ = self._process.communicate()
        counts: dict[str, Any] = json.loads(out)
        return counts


@asynccontextmanager
async def besieged(
    address: tuple[str, int],
    count: int,
    kinds: Sequence[str],
    peers: Sequence[str] = ("127.0.0.1",),
    rate: float = 7,
    *,
    tls: bool = False,
) -> AsyncIterator[Siege]:
    """Yield once the besieger has tried for all of his connections; he stays until the end."""
    arguments = ["--count", str(count), "--kinds", ",".join(kinds), "--peers", ",".join(peers)]
    arguments += ["--rate", str(rate), *(["--tls"] if tls else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, address[0], str(address[1]), *arguments],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert await asyncio.to_thread(process.stdout.readline) == "standing\n"
        yield Siege(process)
    finally:
        process.kill()
        process.communicate()


async def _main(arguments: argparse.Namespace) -> None:
    besieger = Besieger(
        (arguments.host, arguments.port),
        arguments.peers.split(","),
        arguments.kinds.split(","),
        arguments.count,
        arguments.rate,
        arguments.tls,
    )
    await besieger.fill()
    print("standing", flush=True)
    renewing = asyncio.create_task(besieger.renew())
    await asyncio.to_thread(sys.stdin.read)
    renewing.cancel()
    print(json.dumps({"held": len(besieger.held), **besieger.counts}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--kinds", default="quiet")
    parser.add_argument("--peers", default="127.0.0.1")
    parser.add_argument("--rate", type=float, default=7)
    parser.add_argument("--tls", action="store_true")
    asyncio.run(_main(parser.parse_args()))
