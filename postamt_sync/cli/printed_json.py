"""Prints JSON for `--json` and `--format json`: exactly one value, whatever happens.

Its keys are described in `json_schemas`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import pairwise, takewhile
from typing import Any

from postamt_sync.cli.in_force import complete
from postamt_sync.errors import ConfigurationError, PostamtError

_answered = False


def begin() -> None:
    """Forget what an earlier command line in this process printed."""
    global _answered  # noqa: PLW0603 - one per process, like standard output
    _answered = False


def is_wanted(argv: Sequence[str]) -> bool:
    """Whether a command line asks for JSON."""
    words = list(takewhile(lambda word: word != "--", argv))
    return bool({"--json", "--format=json"} & {*words}) or ("--format", "json") in pairwise(words)


def print_json(value: Any, *, indent: int | None = 2, ensure_ascii: bool = True) -> None:
    """Print a verb's answer."""
    global _answered  # noqa: PLW0603
    _answered = True
    print(json.dumps(value, indent=indent, ensure_ascii=ensure_ascii))


def print_error(problem: str, hint: str, **more: Any) -> None:
    """Print why there is no answer, unless one was printed already."""
    if not _answered:
        print_json({"error": problem, "hint": hint, **more}, indent=None)
        sys.stdout.flush()


def print_failure(error: PostamtError, hint: str) -> None:
    """Print what went wrong, with all problems of a configuration."""
    more: dict[str, Any] = {}
    if isinstance(error, ConfigurationError):
        more["problems"] = problems_of(error)
    print_error(complete(error.problem), complete(hint), **more)


def problems_of(error: ConfigurationError) -> list[dict[str, str]]:
    """Return all problems of a configuration."""
    return [{"key": p.key, "wrong": p.wrong, "example": p.example} for p in error.problems]
