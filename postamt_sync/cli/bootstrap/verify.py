"""`postamt-sync bootstrap verify`: is the AWS side as it should be, and does it work?"""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from postamt_sync.bootstrap.announcement import Trial
from postamt_sync.bootstrap.dns import Servers
from postamt_sync.bootstrap.finding import Finding, Outcome
from postamt_sync.bootstrap.probe import resolver_at
from postamt_sync.bootstrap.verify import Verification
from postamt_sync.cli.bootstrap.stack import Out, PositionOption, count, opened
from postamt_sync.cli.options import ConfigPath, Debug, Json
from postamt_sync.errors import ExitCode

MARKS = {
    Outcome.OK: ("ok", "green"),
    Outcome.WARNING: ("warn", "yellow"),
    Outcome.FAILURE: ("FAIL", "red"),
}


def verify(
    resolver: Annotated[
        str,
        typer.Option("--resolver", metavar="ADDRESS", help="Whom to ask; else the system's own."),
    ] = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave out what is asked of the DNS.")
    ] = False,
    position: PositionOption = "",
    out: Out = None,
    config: ConfigPath = None,
    json: Json = False,
    debug: Debug = False,  # noqa: ARG001 - the frame shows the traceback
) -> ExitCode:
    """Check that nothing differs from the plan, and that everything works.

    Looks at SES, its receipt rule and the DNS, and puts a trial object into the
    bucket that the topic must announce; the trial takes everything it made away
    again. Exits 1 if anything fails; each failure comes with its remedy.

    \b
    Examples:
      postamt-sync bootstrap verify
      postamt-sync bootstrap verify --offline --json
    """
    account = opened(config, out)
    home = account.settings.home
    verification = Verification(
        account.stack,
        account.aws,
        account.resources(position),
        Servers(home.imap_host, relay=home.submission),
        None if offline else resolver_at(resolver),
        Trial(account.stack, account.aws),
    )
    if json:
        found = list(verification.findings())
        print(jsonlib.dumps({"findings": [asdict(f) for f in found]}, indent=2))
    else:
        console = Console(highlight=False)
        account.introduce(console)
        console.print()
        found = list(_shown(verification.findings(), console))
        console.print(f"\n{_summary(found)}")
    failed = any(f.outcome is Outcome.FAILURE for f in found)
    return ExitCode.UNDELIVERED if failed else ExitCode.OK


def _shown(findings: Iterable[Finding], console: Console) -> Iterable[Finding]:
    for finding in findings:
        mark, style = MARKS[finding.outcome]
        console.print(Text.assemble((f"{mark:<5}", style), finding.subject))
        for words in (finding.words, finding.remedy):
            if words:
                console.print(Padding(Text(words), (0, 0, 0, 5), expand=False))
        yield finding


def _summary(found: list[Finding]) -> str:
    failures = sum(f.outcome is Outcome.FAILURE for f in found)
    warnings = sum(f.outcome is Outcome.WARNING for f in found)
    if not failures and not warnings:
        return "All is well."
    return f"{count(failures, 'failure')}, {count(warnings, 'warning')}."
