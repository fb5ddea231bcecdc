"""A command as a person has to type it: with the configuration that is in force."""

from __future__ import annotations

import shlex
from pathlib import Path

from postamt_sync.config.load import DEFAULT_PATH


def typed(verb: str, source: str = "") -> str:
    """Return the command for `verb`; `source` is the configuration's path, "" the usual one.

    It names the file by its whole path, so that it works in every directory and without the
    variables of our own environment.
    """
    path = Path(source or DEFAULT_PATH).absolute()
    config = "" if path == DEFAULT_PATH else f" --config {shlex.quote(str(path))}"
    return f"postamt-sync {verb}{config}"
