"""A command as a person has to type it: with the options that are in force."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.config.load import DEFAULT_PATH
from postamt_sync.events import printable

LONGEST_PATH = 4096


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The configuration's path, "" for the usual one, and the directory given with --out.

    Files are named by their whole paths, so that a command works in every directory and without
    the variables of our own environment.
    """

    source: str = ""
    out: Path | None = None

    def typed(self, verb: str) -> str:
        """Return the whole command for `verb`."""
        config = Path(self.source or DEFAULT_PATH).absolute()
        command = f"postamt-sync {verb}"
        if config != DEFAULT_PATH:
            command += f" --config {_word(config)}"
        if self.out is not None:
            command += f" --out {_word(self.out.absolute())}"
        return command


USUAL_LINE = CommandLine()


def typed(verb: str, source: str = "") -> str:
    """Return the command for `verb` with the configuration that was read from `source`."""
    return CommandLine(source).typed(verb)


def _word(path: Path) -> str:
    return shlex.quote(printable(str(path), LONGEST_PATH))
