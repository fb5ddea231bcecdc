"""Prints findings, for people or programs, and turns them into an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from postamt_sync.cli.console import open_console, paragraph
from postamt_sync.cli.in_force import complete
from postamt_sync.cli.printed_json import print_json
from postamt_sync.doctor.finding import Finding, Severity, causes
from postamt_sync.errors import ExitCode
from postamt_sync.quantities import count

MARKS = {
    Severity.OK: ("ok", "green"),
    Severity.WARNING: ("warn", "yellow"),
    Severity.FAILURE: ("FAIL", "red"),
}
"""In display order: what needs doing comes last, where people look first."""

INDENT = "     "

Quiet = Annotated[bool, typer.Option("--quiet", help="Show only what is not well.")]


def report(findings: Iterable[Finding], *, json: bool, quiet: bool = False) -> ExitCode:
    """Print the findings, as text or one JSON object; return FINDINGS if any is a failure."""
    found = list(findings)
    if json:
        print_json({"findings": as_json(found)})
    else:
        _show(found, open_console(), quiet=quiet)
    failed = any(finding.outcome is Severity.FAILURE for finding in found)
    return ExitCode.FINDINGS if failed else ExitCode.OK


def as_json(found: Sequence[Finding]) -> list[dict[str, str]]:
    """Return the findings; `because` is the subject of the one that explains it, "" if none."""
    because = causes(found)
    return [
        {
            "subject": finding.subject,
            "outcome": finding.outcome,
            "words": complete(finding.words),
            "remedy": complete(finding.remedy),
            "because": found[because[place]].subject if place in because else "",
        }
        for place, finding in enumerate(found)
    ]


def _show(found: Sequence[Finding], console: Console, *, quiet: bool) -> None:
    because = causes(found)
    shown = [place for place in range(len(found)) if place not in because]
    for outcome, (mark, style) in MARKS.items():
        if quiet and outcome is Severity.OK:
            continue
        for place in shown:
            finding = found[place]
            if finding.outcome is outcome:
                subject = Text.assemble((f"{mark:<5}", style), finding.subject)
                console.print(subject, soft_wrap=True)
                followed = [found[n] for n, cause in because.items() if cause == place]
                for words in (finding.words, _consequences(followed), finding.remedy):
                    if words:
                        paragraph(console, words, INDENT)
    kinds = [found[place].outcome for place in shown]
    failures, warnings = kinds.count(Severity.FAILURE), kinds.count(Severity.WARNING)
    if not quiet or failures or warnings:
        console.print(f"\n{count(failures, 'failure')}, {count(warnings, 'warning')}.")


def _consequences(followed: Sequence[Finding]) -> str:
    subjects = dict.fromkeys(finding.subject for finding in followed)
    return f"With it: {', '.join(subjects)}." if subjects else ""
