"""The plan: what differs between the account and the stack, found by reading alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Change, Conflict, Note, PlanItem
from postamt_sync.errors import MisconfiguredError, PostamtError


class Resource(Protocol):
    """One thing at AWS. Both methods only read; what they yield is in the order to carry out."""

    @property
    def title(self) -> str:
        """What it is and its name: "topic postamt"."""

    def plan(self) -> Iterator[PlanItem]:
        """Yield what differs from what is wanted; nothing where all is well."""

    def destroy(self) -> Iterator[PlanItem]:
        """Yield what removes it, as far as it is ours, and notes of what is kept."""


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """What one resource said."""

    title: str
    items: tuple[PlanItem, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All entries, in the order in which they are carried out."""

    entries: tuple[PlanEntry, ...]

    @property
    def changes(self) -> list[tuple[str, Change]]:
        return [
            (e.title, item) for e in self.entries for item in e.items if isinstance(item, Change)
        ]

    @property
    def notes(self) -> list[tuple[str, Note]]:
        return [(e.title, item) for e in self.entries for item in e.items if isinstance(item, Note)]

    @property
    def conflicts(self) -> list[tuple[str, Conflict]]:
        return [
            (e.title, item) for e in self.entries for item in e.items if isinstance(item, Conflict)
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values; the parameters of calls, which can be long, stay out."""
        return {
            "changes": [
                {
                    "resource": title,
                    "change": change.message,
                    "calls": [c.name for c in change.calls] if _is_known(change) else [],
                }
                for title, change in self.changes
            ],
            "conflicts": [
                {"resource": title, "conflict": conflict.message, "remedy": conflict.remedy}
                for title, conflict in self.conflicts
            ],
            "notes": [{"resource": title, "note": note.message} for title, note in self.notes],
        }


def _is_known(change: Change) -> bool:
    """Tell calls that are known beforehand from those found out while they are carried out."""
    return isinstance(change.calls, Sequence)


def plan(resources: Sequence[Resource]) -> Plan:
    """Ask every resource what differs. Raises PostamtError where AWS refuses to be read.

    It ends early where there is a conflict and what comes after it cannot be read: a bucket of
    another account keeps its lifecycle to itself, and the conflict says so better.
    """
    found = Plan(())
    for resource in resources:
        try:
            entry = PlanEntry(resource.title, tuple(resource.plan()))
        except PostamtError:
            if found.conflicts:
                return found
            raise
        found = Plan((*found.entries, entry))
    return found


def plan_removal(resources: Sequence[Resource]) -> Plan:
    """Ask every resource what removes it, the last made first."""
    return Plan(tuple(PlanEntry(r.title, tuple(r.destroy())) for r in reversed(resources)))


def carry_out(wanted: Plan, aws: AwsClient, done: Callable[[str, str], None]) -> int:
    """Carry the changes out one after the other, and return how many calls that took.

    `done` is told resource and words of each change when AWS has it. Stopped anywhere, a new plan
    knows what is left: nothing is remembered here. Raises MisconfiguredError, before anything is
    written, where the plan has conflicts; whatever `Aws.write` raises otherwise.
    """
    if wanted.conflicts:
        title, conflict = wanted.conflicts[0]
        raise MisconfiguredError(f"{title}: {conflict.message}", conflict.remedy)
    calls = 0
    for title, change in wanted.changes:
        for one in change.calls:
            aws.write(one)
            calls += 1
        if change.act is not None:
            change.act()
        done(title, change.message)
    return calls
