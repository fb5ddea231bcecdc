"""A command as a person has to type it: with the configuration that is in force."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from postamt_sync.config.load import DEFAULT_PATH
from postamt_sync.events import printable

LONGEST_PATH = 4096


def typed(verb: str, source: str = "") -> str:
    """Return the command for `verb`; `source` is the configuration's path, "" the usual one.

    It names the file by its whole path, so that it works in every directory and without the
    variables of our own environment.
    """
    path = Path(source or DEFAULT_PATH).absolute()
    return with_options(verb, {"--config": None if path == DEFAULT_PATH else path})


def with_options(verb: str, options: Mapping[str, Path | None]) -> str:
    """Return the command for `verb` with those of the options that have a path."""
    command = f"postamt-sync {verb}"
    for name, path in options.items():
        if path is not None:
            command += f" {name} {shlex.quote(printable(str(path), LONGEST_PATH))}"
    return command
