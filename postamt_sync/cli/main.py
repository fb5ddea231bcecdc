"""The command `postamt-sync`: finds the verb, and turns whatever happens into words and a code.

Verbs are listed in `verbs.py`. A verb raises PostamtError, or returns an ExitCode (None is OK).
"""

from __future__ import annotations

import errno
import io
import json
import os
import select
import shlex
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
import typer.main

from postamt_sync import __version__
from postamt_sync.cli.verbs import PROGRAM, VERBS, Verb, VerbGroup
from postamt_sync.errors import ConfigurationError, ExitCode, OtherUserError, PostamtError
from postamt_sync.events import printable

WIDTH = 80
FULL_DISK = {errno.ENOSPC, errno.EDQUOT}

app = typer.Typer(
    cls=VerbGroup,
    add_completion=False,
    rich_markup_mode=None,  # rich would cost every start its import
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(PROGRAM, __version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def postamt_sync(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Bring mail home: from AWS SES and S3 into Maildirs, each mail once, whatever happens.

    \b
    Examples:
      postamt-sync demo    watch it at work: no AWS account, no configuration
      postamt-sync check   is the configuration right?
      postamt-sync run     deliver mail until it is stopped
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def main() -> None:
    """Run as a process."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str], verbs: Sequence[Verb] = VERBS) -> int:
    """Run one command line and return its exit code; no exception leaves it.

    Errors go to sys.stderr: one sentence says what is wrong, one what to do.
    """
    try:
        code = _run(argv, verbs)
    except BrokenPipeError:  # while an error was being explained
        code = ExitCode.OUTPUT_CLOSED
    _drop_what_cannot_be_written()
    return code


def _run(argv: Sequence[str], verbs: Sequence[Verb]) -> int:
    try:
        code = _invoke(argv, verbs)
        sys.stdout.flush()
    except (KeyboardInterrupt, typer.Abort):
        _say("Stopped.")
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place where it can become a sentence
        if isinstance(error, BrokenPipeError) and _reader_went_away():
            return ExitCode.OUTPUT_CLOSED
        if "--debug" in argv:
            traceback.print_exc()
        if isinstance(error, PermissionError) and error.filename:
            error = OtherUserError.of(error)
        return _explain(error, argv)
    return code


def _invoke(argv: Sequence[str], verbs: Sequence[Verb]) -> int:
    # What click's own main does, which would turn Ctrl-C and a broken pipe into exit codes itself.
    command = typer.main.get_command(app)
    assert isinstance(command, VerbGroup)
    command.verbs = verbs
    try:
        with command.make_context(PROGRAM, list(argv)) as context:
            result = command.invoke(context)
    except typer.Exit as asked:
        result = asked.exit_code
    return int(result or ExitCode.OK)


def _explain(error: Exception, argv: Sequence[str]) -> int:
    match error:
        case ConfigurationError():
            _say(f"Error: {error.problem}")
            for problem in error.problems:
                _say(f"{problem.key}: {problem.wrong}", indent="  ")
                if problem.example:
                    _say(f"Example: {problem.example}", indent="      ")
            _say(f"Hint: {error.hint}")
            return error.exit_code
        case PostamtError():
            _say(f"Error: {error.problem}")
            if hint := _hint(error, argv):
                _say(f"Hint: {hint}")
            return error.exit_code
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            asked = context.command_path if context else PROGRAM
            wrong = printable(error.format_message())
            hint = f"See what there is with: {asked} --help"
            if "--json" in argv:  # the verb, which would print it, has not begun
                print(json.dumps({"error": wrong, "hint": hint}))
            _say(f"Error: {wrong}")
            _say(f"Hint: {hint}")
            return ExitCode.USAGE
        case OSError() if error.errno in FULL_DISK:
            _say(f"Error: A disk is full: {_describe(error)}.")
            _say("Hint: Make room where the ledger, the Maildirs or the output lie (df -h).")
            return ExitCode.TRY_LATER
        case _:
            _say(f"Error: Unexpected error: {_describe(error)}.")
            _say("Hint: Run it again with --debug to see where, and report what it shows.")
            return ExitCode.INTERNAL


def _hint(error: PostamtError, argv: Sequence[str]) -> str:
    if isinstance(error, OtherUserError):
        return f"{error.hint} As in: sudo {PROGRAM} {printable(shlex.join(argv), 4096)}"
    return error.hint


def _describe(error: Exception) -> str:
    text = printable(str(error).rstrip("."))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _say(sentence: str, indent: str = "") -> None:
    """Write to standard error, wrapped for 80 columns; URLs and ARNs stay in one piece."""
    print(
        textwrap.fill(
            sentence,
            WIDTH,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
            break_long_words=False,
            break_on_hyphens=False,
        ),
        file=sys.stderr,
    )


def _reader_went_away() -> bool:
    """Tell whether nobody reads our output: other pipes and sockets break too."""
    ends = select.poll()
    for stream in (sys.stdout, sys.stderr):
        try:
            ends.register(stream.fileno(), 0)
        except (OSError, ValueError):
            continue
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in ends.poll(0))


def _drop_what_cannot_be_written() -> None:
    """Keep the interpreter from trying again when it ends, and from changing the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            try:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
            except (OSError, ValueError):
                continue
