"""`postamt-sync help`: what a verb does, and the man page."""

from __future__ import annotations

from typing import Annotated

import typer

from postamt_sync.cli.manual import man_page
from postamt_sync.cli.options import Debug
from postamt_sync.cli.verbs import PROGRAM, SUMMARY, VERBS, command_of
from postamt_sync.errors import ExitCode, UsageError
from postamt_sync.events import printable


def help_(
    verb: Annotated[
        list[str] | None, typer.Argument(metavar="[VERB]...", help="As in: bootstrap apply.")
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
    if not verb:
        for known in VERBS:
            print(f"{known.name:<12}{known.summary}")
        return ExitCode.OK
    name, *below = verb
    found = next((known for known in VERBS if known.name == name), None)
    if found is None:
        raise UsageError(f"There is no command {printable(name, 40)}.", f"See: {PROGRAM} help")
    command = command_of(found)
    path = f"{PROGRAM} {name}"
    for step in below:
        context = command.make_context(path, [], resilient_parsing=True)
        inner = command.get_command(context, step) if hasattr(command, "get_command") else None
        if inner is None:
            raise UsageError(
                f"{path} has no command {printable(step, 40)}.", f"See: {PROGRAM} help {name}"
            )
        command, path = inner, f"{path} {step}"
    print(command.get_help(command.make_context(path, [], resilient_parsing=True)))
    return ExitCode.OK
