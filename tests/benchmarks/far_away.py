"""A server that is further away: a proxy through which each call takes so much longer."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

CHUNK = 256 << 10


async def _carry(source: asyncio.StreamReader, to: asyncio.StreamWriter, delay: float) -> None:
    """Pass on what comes, each piece `delay` seconds later and none the slower for that."""
    loop = asyncio.get_running_loop()
    way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)

    async def arrive() -> None:
        while True:
            moment, data = await way.get()
            await asyncio.sleep(max(0.0, moment - loop.time()))
            if not data:
                break
            to.write(data)
            await to.drain()
        to.close()

    arriving = asyncio.create_task(arrive())
    with contextlib.suppress(OSError):
        while data := await source.read(CHUNK):
            await way.put((loop.time() + delay, data))
    await way.put((loop.time() + delay, b""))
    with contextlib.suppress(OSError):
        await arriving


async def _serve(host: str, port: int, delay: float) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port)
        await asyncio.gather(
            _carry(reader, back, delay / 2),
            _carry(there, writer, delay / 2),
            return_exceptions=True,
        )

    server = await asyncio.start_server(meet, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextlib.contextmanager
def far_away(endpoint: str, milliseconds: float) -> Iterator[str]:
    """Yield another address of `endpoint`, which is as far away as a call takes `milliseconds`."""
    url = urlsplit(endpoint)
    command = [sys.executable, "-m", "tests.benchmarks.far_away"]
    command += [str(url.hostname), str(url.port), str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) / 1000))
