"""Processes of their own without the price of starting Python anew, which the kill test pays often.

They are forked off a server that has imported everything and done nothing else.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

from postamt_sync.cli import main as command_line
from tests.end_to_end.home import Home, Running
from tests.faults import killed

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__, "postamt_sync.cli.sync", "postamt_sync.cli.run"])


class Forked:
    """As much of a Popen as `Running` asks of one."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process.name), timeout or 0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it now; a pass may have come to its own end a moment before."""
        with contextlib.suppress(ProcessLookupError):
            self.send_signal(signal.SIGKILL)


def fork(home: Home, *arguments: str) -> Running:
    """Start `postamt-sync` with these arguments."""
    return _start(home, _live, ("--config", str(home.config)), arguments)


def fork_to_be_killed(home: Home, *arguments: str) -> Running:
    """Start `tests.faults.killed` with these arguments."""
    return _start(home, _die, (), (str(home.config), *arguments))


def _start(home: Home, life: object, more: tuple[str, ...], arguments: tuple[str, ...]) -> Running:
    log = home.new_log()
    process = _context.Process(target=life, args=(home.environ(), log, (*arguments, *more)))
    process.start()
    return home.adopt(Running(Forked(process), log))


def _live(environment: Mapping[str, str], log: Path, arguments: tuple[str, ...]) -> None:
    _move(environment, log)
    sys.exit(command_line.run(arguments))


def _die(environment: Mapping[str, str], log: Path, arguments: tuple[str, ...]) -> None:
    _move(environment, log)
    killed.main(*arguments)


def _move(environment: Mapping[str, str], log: Path) -> None:
    """Become a process with this environment that writes into this file."""
    os.environ.clear()
    os.environ.update(environment)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(fd, stream)
