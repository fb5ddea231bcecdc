"""How checks are shown, for people and for programs, and which exit code they amount to."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable
from dataclasses import asdict

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from postamt_sync.doctor.check import Finding, Severity
from postamt_sync.errors import ExitCode
from postamt_sync.plural import count

MARKS = {
    Severity.OK: ("ok", "green"),
    Severity.WARNING: ("warn", "yellow"),
    Severity.FAILURE: ("FAIL", "red"),
}


def report(findings: Iterable[Finding], *, json: bool) -> ExitCode:
    """Print the findings, each as it comes, or all as one object; FINDINGS if any is a failure."""
    found = _as_json(findings) if json else _shown(findings, Console(highlight=False))
    failed = any(finding.outcome is Severity.FAILURE for finding in found)
    return ExitCode.FINDINGS if failed else ExitCode.OK


def _as_json(findings: Iterable[Finding]) -> list[Finding]:
    found = list(findings)
    print(jsonlib.dumps({"findings": [asdict(finding) for finding in found]}, indent=2))
    return found


def _shown(findings: Iterable[Finding], console: Console) -> list[Finding]:
    found = []
    for finding in findings:
        found.append(finding)
        mark, style = MARKS[finding.outcome]
        console.print(Text.assemble((f"{mark:<5}", style), finding.subject))
        for words in (finding.words, finding.remedy):
            if words:
                console.print(Padding(Text(words), (0, 0, 0, 5), expand=False))
    failures = sum(finding.outcome is Severity.FAILURE for finding in found)
    warnings = sum(finding.outcome is Severity.WARNING for finding in found)
    console.print(f"\n{count(failures, 'failure')}, {count(warnings, 'warning')}.")
    return found
