"""Reads command-line arguments as UTF-8, whatever the locale: keys, addresses and names are UTF-8.

Python decodes the command line by the locale, and what does not fit becomes lone surrogates, which
no database or server accepts. Paths are left alone: for them, surrogates are the right form.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import typer

from postamt_sync.errors import UsageError
from postamt_sync.log_line import printable


def utf8(text: str) -> str:
    """Return what was typed, decoded as UTF-8 even in a POSIX or Latin-1 locale.

    Raises UsageError if it is not text.
    """
    try:
        return os.fsencode(text).decode()
    except UnicodeEncodeError:
        return text  # not from the command line, but a default of ours
    except UnicodeDecodeError:
        if any("\ud800" <= c <= "\udfff" for c in text):
            raise UsageError(
                f"{printable(text)} is no UTF-8 text.",
                "Type UTF-8, as keys, addresses and names are.",
            ) from None
        return text


def takes_utf8(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Return a wrapper of the verb that passes its arguments through `utf8`."""

    @functools.wraps(verb)
    def reading(*args: Any, **options: Any) -> Any:
        return verb(*args, **{name: _read(value) for name, value in options.items()})

    return reading


def take_utf8(app: typer.Typer) -> typer.Typer:
    """Wrap all verbs of an app in `takes_utf8`; return the app."""
    for command in app.registered_commands:
        if command.callback and not hasattr(command.callback, "__wrapped__"):
            command.callback = takes_utf8(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            take_utf8(group.typer_instance)
    return app


def _read(value: Any) -> Any:
    if type(value) is str:
        return utf8(value)
    return [_read(item) for item in value] if isinstance(value, list) else value
