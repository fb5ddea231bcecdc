"""The command `postamt-sync`: runs a verb, and turns whatever happens into words and an exit code.

Verbs are listed in `verbs.py`. A verb raises PostamtError or returns an ExitCode (None means OK).
"""

from __future__ import annotations

import gc
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
import typer.main

from postamt_sync import __version__
from postamt_sync.cli import (
    daemon_credentials,
    in_force,
    printed_json,
    setup_configuration,
    streams,
)
from postamt_sync.cli.in_force import complete
from postamt_sync.cli.verbs import PROGRAM, VERBS, Verb, VerbGroup, end_without_verb
from postamt_sync.errors import (
    FULL_DISK,
    ConfigurationError,
    ExitCode,
    OtherUserError,
    PostamtError,
    TryLaterError,
)
from postamt_sync.events import printable

WIDTH = 80
READER_WENT_AWAY = (BrokenPipeError, ConnectionResetError)
WELL = {ExitCode.OK, ExitCode.CHANGES, ExitCode.FINDINGS}
"""The work was done; the output says what it found."""

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
      postamt-sync demo     # watch it at work: no AWS account, no configuration
      postamt-sync setup    # from nothing to your own mail
      postamt-sync status   # what came, what waits, and why
    """
    end_without_verb(context)


def main() -> None:
    """Run as a process, and exit."""
    code = run(sys.argv[1:])
    # A Ctrl-C while Python shuts down would look like a crash.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # nobody need look for garbage in what ends with the process
    sys.exit(code)


def run(argv: Sequence[str], verbs: Sequence[Verb] = VERBS) -> int:
    """Run one command line and return its exit code. Never raises.

    Errors go to sys.stderr: one sentence says what is wrong, one what to do. Output that cannot be
    written does not stop the work; the exit code reports it.
    """
    streams.keep()
    printed_json.begin()
    in_force.remember(argv)
    with setup_configuration.in_force(argv), daemon_credentials.in_force(argv):
        return _judged(_run(argv, verbs), argv)


def _judged(code: int, argv: Sequence[str]) -> int:
    """Return the exit code of the work, or one for its output if that was lost."""
    unread, unsaid = streams.failure(sys.stdout), streams.failure(sys.stderr)
    if any(isinstance(lost, READER_WENT_AWAY) for lost in (unread, unsaid)):
        return ExitCode.OUTPUT_CLOSED
    if unread is None or code not in WELL:
        return code
    if unread.errno not in FULL_DISK:
        why = unread.strerror or type(unread).__name__
        return _explain(
            TryLaterError(
                f"The output cannot be written: {why}.",
                "The work itself is done. Check where the output goes.",
            ),
            argv,
        )
    return _explain(unread, argv)


def _run(argv: Sequence[str], verbs: Sequence[Verb]) -> int:
    try:
        return _invoke(argv, verbs)
    except (KeyboardInterrupt, typer.Abort):
        if printed_json.is_wanted(argv):
            printed_json.print_error("Stopped before the end.", "")
        if sys.stderr.isatty():
            print(file=sys.stderr)  # the cursor is after a question, or after ^C
        _say("Stopped.")
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last place that can turn it into a sentence
        if "--debug" in argv:
            traceback.print_exc()
        if isinstance(error, PermissionError) and error.filename:
            error = OtherUserError.of(error)
        if printed_json.is_wanted(argv) and isinstance(error, PostamtError):
            printed_json.print_failure(error, _hint(error, argv))
        return _explain(error, argv)


def _invoke(argv: Sequence[str], verbs: Sequence[Verb]) -> int:
    # In place of click's own main, which turns Ctrl-C and broken pipes into exit codes itself.
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
            _say(f"Error: {complete(error.problem)}")
            for problem in error.problems:
                _say(f"{problem.key}: {complete(problem.wrong)}", indent="  ")
                if problem.example:
                    _say(f"Example: {problem.example}", indent="      ")
            _say(f"Hint: {complete(error.hint)}")
            return error.exit_code
        case PostamtError():
            _say(f"Error: {complete(error.problem)}")
            if hint := _hint(error, argv):
                _say(f"Hint: {complete(hint)}")
            return error.exit_code
        case typer.TyperException():
            context = getattr(error, "ctx", None)
            asked = context.command_path if context else PROGRAM
            wrong = printable(error.format_message())
            hint = f"See what there is with: {asked} --help"
            return _tell(wrong, hint, argv, ExitCode.USAGE)
        case OSError() if error.errno in FULL_DISK:
            return _tell(
                f"A disk is full: {_describe(error)}.",
                "Make room where the ledger, the Maildirs or the output lie (df -h).",
                argv,
                ExitCode.TRY_LATER,
            )
        case _:
            return _tell(
                f"Unexpected error: {_describe(error)}.",
                "Run it again with --debug to see where, and report what it shows.",
                argv,
                ExitCode.INTERNAL,
            )


def _tell(problem: str, hint: str, argv: Sequence[str], code: ExitCode) -> int:
    if printed_json.is_wanted(argv):
        printed_json.print_error(problem, hint)
    _say(f"Error: {problem}")
    _say(f"Hint: {hint}")
    return code


def _hint(error: PostamtError, argv: Sequence[str]) -> str:
    if isinstance(error, OtherUserError):
        return f"{error.hint} As in: sudo {PROGRAM} {printable(shlex.join(argv), 4096)}"
    return daemon_credentials.how_to_lend(error) or error.hint


def _describe(error: Exception) -> str:
    text = printable(str(error).rstrip("."))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _say(sentence: str, indent: str = "") -> None:
    """Write to standard error; on a terminal, wrap at 80 columns without breaking commands."""
    if sys.stderr.isatty():
        from postamt_sync.config.command import fill  # noqa: PLC0415 - --help needs none of it

        sentence = fill(sentence, WIDTH, indent, f"{indent}    ")
    else:
        sentence = indent + sentence
    print(sentence, file=sys.stderr)
