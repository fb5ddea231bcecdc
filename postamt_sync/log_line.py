"""What a log line is made of: the logger that writes it, and text that is fit to stand in it."""

from __future__ import annotations

import re
from typing import Any, Protocol

LONGEST_VALUE = 300
"""Characters of a foreign value that a log line shows."""

_MARKUP = re.compile(r"<(?=[a-z!/?])|&lt;", re.IGNORECASE)
_QUOTED = re.compile(r"[\s:]*b?['\"]?$")
"""How a page is led over to, where a library quotes it."""


class Log(Protocol):
    """What we need of a structlog logger."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...


def printable(text: str, longest: int = LONGEST_VALUE) -> str:
    """Make foreign text fit for one log line or one line of a terminal.

    Control characters, line ends and bidirectional overrides become escapes; the rest stays.
    """
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    if short.isprintable():
        return short
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)


def without_markup(text: str) -> str:
    """Return what a text says before a page begins in it: nobody can read that in a sentence."""
    found = _MARKUP.search(text)
    return _QUOTED.sub("", text[: found.start()]).lstrip("\ufeff") if found else text
