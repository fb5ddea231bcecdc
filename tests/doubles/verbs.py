"""Verbs that end in every way a verb can end."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from postamt_sync.cli.main import run
from postamt_sync.cli.options import ConfigPath, Debug
from postamt_sync.cli.verbs import Verb
from postamt_sync.errors import ExitCode, PostamtError, TryLaterError, UsageError

LONG_URL = "https://example.com/" + "a-b" * 30

several = typer.Typer(add_completion=False, rich_markup_mode=None, help="Several verbs in one.")


@several.command("list")
def list_() -> None:
    """List them."""
    print("listed")


@several.command("show")
def show(key: str) -> None:
    """Show one."""
    print("shown", key)


def well(config: ConfigPath = None, debug: Debug = False) -> None:
    """End well."""
    print("well", config, debug)


def code(number: Annotated[int, typer.Option("--number")] = 2) -> ExitCode:
    """End with a code."""
    return ExitCode(number)


def fail(kind: str, debug: Debug = False) -> None:
    """End badly."""
    errors: dict[str, BaseException] = {
        "later": TryLaterError("The network is away.", "Plug it in."),
        "usage": UsageError("That cannot be."),
        "plain": PostamtError("One mail is stuck, " + "for many reasons, " * 6 + "it seems."),
        "unforeseen": RuntimeError("no such \x1b[31mthing"),
        "long": PostamtError(f"Look at {LONG_URL} for more of this."),
        "parameter": typer.BadParameter("no such \x1b[31mthing"),
        "empty": RuntimeError(),
        "ctrl-c": KeyboardInterrupt(),
        "abort": typer.Abort(),
        "pipe": BrokenPipeError(),
        "exit": typer.Exit(75),
    }
    raise errors[kind]


VERBS = (
    Verb("well", f"{__name__}:well", "End well."),
    Verb("code", f"{__name__}:code", "End with a code."),
    Verb("fail", f"{__name__}:fail", "End badly."),
    Verb("several", f"{__name__}:several", "Several verbs in one."),
    Verb("broken", "tests.doubles.no_such_module:broken", "Its module is not there."),
)

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], VERBS))
