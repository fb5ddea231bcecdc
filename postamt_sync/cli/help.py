"""`postamt-sync help`: what a verb does, and the man page."""

from __future__ import annotations

from typing import Annotated

import typer

from postamt_sync.cli.main import run
from postamt_sync.cli.manual import man_page
from postamt_sync.cli.options import Debug
from postamt_sync.cli.verbs import PROGRAM, SUMMARY, VERBS
from postamt_sync.errors import ExitCode


def help_(
    verb: Annotated[
        list[str] | None, typer.Argument(metavar="VERB", help="As in: bootstrap apply.")
    ] = None,
    man: Annotated[bool, typer.Option("--man", help="Print the man page of all verbs.")] = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Show what a verb does, as --help after it would; or the man page of all.

    \b
    Examples:
      postamt-sync help sync
      postamt-sync help bootstrap apply
      postamt-sync help --man | man -l -
    """
    if man:
        print(man_page(PROGRAM, SUMMARY, VERBS), end="")
        return ExitCode.OK
    return ExitCode(run([*(verb or ()), "--help"]))
