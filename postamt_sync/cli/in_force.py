"""The command line as typed, so that commands that we suggest name the same configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postamt_sync.config.command import CommandLine

_ARGV: ContextVar[Sequence[str]] = ContextVar("argv", default=())


def remember(argv: Sequence[str]) -> None:
    """Remember what was typed."""
    _ARGV.set(tuple(argv))


def line() -> CommandLine:
    """Return the configuration and --out that are in force."""
    # Imported late: --help needs no configuration, whose module is slow to import.
    from postamt_sync.config.command import CommandLine  # noqa: PLC0415
    from postamt_sync.config.environment import FILE_VARIABLE  # noqa: PLC0415

    out = _value(_ARGV.get(), "--out")
    source = _value(_ARGV.get(), "--config") or os.environ.get(FILE_VARIABLE, "")
    return CommandLine(source, Path(out) if out else None)


def complete(text: str) -> str:
    """Add the options in force to every command of ours in the text."""
    return line().complete(text) if "postamt-sync " in text else text


def typed(verb: str) -> str:
    """Return a command with the options in force."""
    return complete(f"postamt-sync {verb}")


def _value(argv: Sequence[str], option: str) -> str:
    value = ""
    for number, word in enumerate(argv):
        if word == "--":
            break
        if word == option and number + 1 < len(argv):
            value = argv[number + 1]
        elif word.startswith(f"{option}="):
            value = word.partition("=")[2]
    return value
