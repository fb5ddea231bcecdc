"""`postamt-sync` as processes of their own, without the price of starting Python for each.

They are forked off a server that has imported the daemon and done nothing else: importing takes ten
times as long as most of what a test lets them do. What tries the start itself, or needs an
interpreter with other settings, starts a Python of its own.
"""

from __future__ import annotations

import contextlib
import gc
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from postamt_sync.cli import main as command_line

_context = multiprocessing.get_context("forkserver")
_OFTEN = ("sync", "run", "status", "verify", "bootstrap.apply", "bootstrap.plan")
_context.set_forkserver_preload([__name__, *(f"postamt_sync.cli.{verb}" for verb in _OFTEN)])


class Forked:
    """As much of a Popen as tests ask of one."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self._asking = threading.Lock()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        with self._asking:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self._process.name), timeout or 0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has come to its own end."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    output: tuple[Path, Path],
    life: Callable[[Sequence[str]], Any] = command_line.run,
) -> Forked:
    """Start `postamt-sync` with these arguments, or another life of a process.

    What it writes is added to the files of `output`: standard output, standard error.
    """
    given = (life, tuple(arguments), dict(environment), directory, output)
    process = _context.Process(target=_live, args=given)
    process.start()
    return Forked(process)


def _live(
    life: Callable[[Sequence[str]], Any],
    arguments: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    output: tuple[Path, Path],
) -> None:
    """Become a process that was started so.

    What it was born with stays: looked through for garbage, all of it would first be copied.
    """
    gc.freeze()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    for number, path in enumerate(output, start=1):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", errors, write_through=True)
        for number, errors in ((1, "strict"), (2, "backslashreplace"))
    )
    sys.argv = ["postamt-sync", *arguments]
    sys.exit(life(arguments))
