"""What needs attention: each cause once, with everything that suffers from it.

A full disk stops a mailbox, makes mail wait and raises an alert; a bucket that refuses us fails
every source. Shown one by one they would repeat the same sentence over and over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postamt_sync.ledger import ObjectState
from postamt_sync.quantities import count
from postamt_sync.status.report import Runtime, StatusReport


@dataclass(frozen=True, slots=True)
class Trouble:
    """One cause: what is wrong, what to do, and what else suffers from it."""

    text: str
    also: tuple[str, ...] = ()


class Troubles:
    """The causes, gravest first; other parts of a page need not repeat them."""

    def __init__(self, report: StatusReport, runtime: Runtime) -> None:
        found: dict[str, Trouble] = {}
        for who, lead, text in _all(report, runtime):
            before = found.get(text)
            if before is None:
                found[text] = Trouble(f"{lead}{text}")
            elif who and who not in before.also:
                found[text] = Trouble(before.text, (*before.also, who))
        self._found = found

    def __iter__(self) -> Iterator[Trouble]:
        return iter(self._found.values())

    def __bool__(self) -> bool:
        return bool(self._found)

    def tell(self, problem: str | None) -> bool:
        """Tell whether this problem is shown here."""
        return problem in self._found


def _all(report: StatusReport, runtime: Runtime) -> Iterator[tuple[str, str, str]]:
    """Yield what suffers, the beginning of a sentence about it, and the problem."""
    if runtime.trouble:
        yield "bucket", "The bucket cannot be read: ", report.line.complete(runtime.trouble)
    for source in report.sources:
        if source.problem:
            yield source.source, f"{source.source}: ", source.problem
    for health in report.mailboxes:
        if health.problem:
            yield f"mailbox {health.mailbox}", f"Mailbox {health.mailbox}: ", health.problem
    if quarantined := report.states[ObjectState.QUARANTINED]:
        yield "", "", f"{count(quarantined, 'mail')} quarantined."
    if runtime.heartbeat_failing:
        yield "", "", "The heartbeat does not arrive where poll.heartbeat_url leads."
