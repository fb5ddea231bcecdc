"""Processes of a home that start at once, which the kill test pays often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from postamt_sync.cli import main as command_line
from tests.end_to_end.home import REPOSITORY, Home, Running
from tests.faults import killed
from tests.support import forked


def fork(home: Home, *arguments: str) -> Running:
    """Start `postamt-sync` with these arguments."""
    return _start(home, command_line.run, *arguments, "--config", str(home.config))


def fork_to_be_killed(home: Home, *arguments: str) -> Running:
    """Start `tests.faults.killed` with these arguments."""
    return _start(home, _die, str(home.config), *arguments)


def _die(arguments: Sequence[str]) -> None:
    killed.main(*arguments)


def _start(home: Home, life: Callable[[Sequence[str]], Any], *arguments: str) -> Running:
    log = home.new_log()
    process = forked.start(arguments, home.environ(), REPOSITORY, (log, log), life)
    return home.adopt(Running(process, log))
