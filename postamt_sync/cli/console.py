"""The consoles on which verbs print text for people: a terminal has a width, a pipe has none.

Lines for a pipe or a file are neither wrapped nor padded with blanks, because whoever reads them
there will search, cut and copy.
"""

from __future__ import annotations

import os
import re
import sys
from typing import IO, cast

from rich.console import Console
from rich.text import Text

from postamt_sync.cli.in_force import complete
from postamt_sync.config.command import fill

ENDLESS = 100_000
"""The width of something that has none."""
_FILLED_UP = re.compile(r"[ \t]+(?=\n|\Z)")


class _Trimmed:
    """Passes on what rich writes, without trailing blanks."""

    def __init__(self, *, errors: bool) -> None:
        self._errors = errors

    @property
    def _stream(self) -> IO[str]:
        return sys.stderr if self._errors else sys.stdout

    def write(self, text: str) -> int:
        self._stream.write(_FILLED_UP.sub("", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def open_console(*, errors: bool = False) -> Console:
    """Return a console for standard output, or with `errors` for standard error."""
    usual = Console(stderr=errors, highlight=False)
    if usual.is_terminal:
        return usual
    trimmed = cast("IO[str]", _Trimmed(errors=errors))
    # Whoever exports COLUMNS asks for a width.
    width = usual.width if os.environ.get("COLUMNS", "").isdecimal() else ENDLESS
    return Console(file=trimmed, highlight=False, width=width)


def paragraph(
    console: Console, text: str, indent: str = "", style: str = "", hanging: str = ""
) -> None:
    """Print a text, wrapped if there is a width; commands and words are never broken.

    `hanging` is an additional indent for all lines but the first.
    """
    whole = fill(complete(text), console.width, indent, indent + hanging)
    console.print(Text(whole, style=style), soft_wrap=True)


def is_terminal(*, errors: bool = False) -> bool:
    """Whether a person sees the stream as it is written."""
    return Console(stderr=errors).is_terminal
