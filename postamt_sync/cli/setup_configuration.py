"""On a machine where setup was run, but that is not the box, its configuration is the default for
verbs about the AWS side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

AT_AWS = frozenset({"bootstrap", "client", "seal", "webmail"})
"""Verbs that need no box. All others do, and say so if there is none."""


@contextmanager
def in_force(argv: Sequence[str]) -> Iterator[None]:
    """Let a verb use setup's configuration, if none is named and there is none in the usual
    place."""
    path = _kept() if argv and argv[0] in AT_AWS and not names_configuration(argv) else ""
    if not path:
        yield
        return
    from postamt_sync.config.environment import FILE_VARIABLE  # noqa: PLC0415

    os.environ[FILE_VARIABLE] = path
    try:
        yield
    finally:
        os.environ.pop(FILE_VARIABLE, None)


def names_configuration(argv: Sequence[str]) -> bool:
    """Whether a command line, or the environment, names a configuration."""
    from postamt_sync.config.environment import FILE_VARIABLE  # noqa: PLC0415 - --help needs none

    named = any(word == "--config" or word.startswith("--config=") for word in argv)
    return named or bool(os.environ.get(FILE_VARIABLE)) or argv[1:2] == ["init"]


def _kept() -> str:
    from postamt_sync.config.load import DEFAULT_PATH  # noqa: PLC0415
    from postamt_sync.setup.answers import CONFIGURATION, setup_directory  # noqa: PLC0415

    try:
        kept = setup_directory() / CONFIGURATION
        found = kept.is_file() and not DEFAULT_PATH.exists()
    except (OSError, RuntimeError):  # no home, or one that we may not enter
        return ""
    return str(kept) if found else ""
