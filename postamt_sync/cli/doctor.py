"""`postamt-sync doctor`: checks every link of the chain, and says what to do."""

from __future__ import annotations

import asyncio
import json as jsonlib
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from postamt_sync.bootstrap.finding import Finding, Outcome
from postamt_sync.bootstrap.opened import open_stack
from postamt_sync.bootstrap.probe import resolver_at
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.config import load
from postamt_sync.errors import ConfigurationError, ExitCode
from postamt_sync.home.doctor.account import HASTY
from postamt_sync.home.doctor.check import examine
from postamt_sync.home.doctor.doctor import checks

MARKS = {
    Outcome.OK: ("ok", "green"),
    Outcome.WARNING: ("warn", "yellow"),
    Outcome.FAILURE: ("FAIL", "red"),
}


def doctor(
    resolver: Annotated[
        str,
        typer.Option("--resolver", metavar="ADDRESS", help="Whom to ask; else the system's own."),
    ] = "",
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Check every link from the sender to the mail client, all at once, within
    seconds.

    What the daemon needs and does not have is a failure, each with its remedy;
    exits 1 if there is any. The daemon's own credentials see little of AWS: what
    they cannot see is a warning. Run it with those, and as root, to try what the
    daemon may do, and with an administrator's (AWS_PROFILE) to see all of AWS.

    \b
    Examples:
      sudo postamt-sync doctor
      AWS_PROFILE=admin postamt-sync doctor
      postamt-sync doctor --json | jq '.findings[] | select(.outcome != "ok")'
    """
    found = _examined(config, resolver)
    if json:
        print(jsonlib.dumps({"findings": [asdict(f) for f in found]}, indent=2))
    else:
        _show(found, Console(highlight=False))
    failed = any(f.outcome is Outcome.FAILURE for f in found)
    return ExitCode.UNDELIVERED if failed else ExitCode.OK


def _examined(config: ConfigPath, resolver: str) -> list[Finding]:
    try:
        settings = load(config)
    except ConfigurationError as error:
        return [
            Finding(
                f"configuration {problem.key}",
                Outcome.FAILURE,
                problem.wrong,
                f"Example: {problem.example}" if problem.example else error.hint,
            )
            for problem in error.problems
        ]
    if resolver:
        resolver_at(resolver)  # what is no address is said before anything begins
    every = checks(settings, lambda: open_stack(settings, HASTY), lambda: resolver_at(resolver))
    return asyncio.run(examine(every))


def _show(found: list[Finding], console: Console) -> None:
    for finding in found:
        mark, style = MARKS[finding.outcome]
        console.print(Text.assemble((f"{mark:<5}", style), finding.subject))
        for words in (finding.words, finding.remedy):
            if words:
                console.print(Padding(Text(words), (0, 0, 0, 5), expand=False))
    failures = sum(f.outcome is Outcome.FAILURE for f in found)
    warnings = sum(f.outcome is Outcome.WARNING for f in found)
    console.print(f"\n{_count(failures, 'failure')}, {_count(warnings, 'warning')}.")


def _count(number: int, one: str) -> str:
    return f"{number} {one if number == 1 else one + 's'}"
