"""The embedded AWS: moto in a child process, which keeps its state and its load apart from ours.

Run as `python -m postamt_sync.demo.emulator` it serves on a free port of 127.0.0.1, prints its
URL on standard output, and ends when its standard input closes: it cannot outlive its parent.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
from typing import Self

from postamt_sync.errors import TryLaterError, UsageError

START_WITHIN = 60.0
"""Seconds; a Raspberry Pi with a slow card takes long to import moto."""


def need_emulator() -> None:
    """Raise UsageError with the command to type if the extra `demo` is not installed."""
    wanted = ("moto", "flask", "flask_cors")
    if missing := [name for name in wanted if importlib.util.find_spec(name) is None]:
        raise UsageError(
            f"The demo needs packages that are not installed: {', '.join(missing)}.",
            "Install them, in the checkout, with: pip install '.[demo]'",
        )


class Emulator:
    """Runs moto while the context is open; `url` answers every AWS API that moto knows."""

    def __init__(self) -> None:
        self.url = ""
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        need_emulator()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "MOTO_"))}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "postamt_sync.demo.emulator"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
            # A Ctrl-C in the terminal is for us: to shut down properly we still need the emulator.
            start_new_session=True,
        )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), START_WITHIN)
        except TimeoutError:
            line = b""
        except BaseException:
            await self.__aexit__()
            raise
        if not line:
            await self.__aexit__()
            raise TryLaterError(
                "The embedded AWS emulator did not start.",
                "See what it says with: python -m postamt_sync.demo.emulator",
            )
        self.url = line.decode().strip()
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.kill()
        await process.wait()


def extend_moto() -> None:
    """Adapt moto in this process to our needs: all of our stack, no Docker, a quiet log."""
    # Imported here, since the parent process must not need moto.
    from moto.core.config import default_user_config  # noqa: PLC0415

    from postamt_sync.demo.gaps import install  # noqa: PLC0415

    install()
    default_user_config["lambda"]["use_docker"] = False
    logging.getLogger("werkzeug").setLevel(logging.ERROR)


def serve() -> None:
    """Serve until standard input closes."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    extend_moto()
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    serve()
