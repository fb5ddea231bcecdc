"""The plan: how the account differs from the stack, found without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Change, Conflict, Note, PlanItem
from postamt_sync.errors import MisconfiguredError, PostamtError


class Resource(Protocol):
    """One thing at AWS. Both methods only read, and yield items in the order to carry them out."""

    @property
    def title(self) -> str:
        """Its kind and name: "topic postamt"."""

    def plan(self) -> Iterator[PlanItem]:
        """Yield the differences from the wanted state; nothing if all is well."""

    def destroy(self) -> Iterator[PlanItem]:
        """Yield the changes that remove what is ours, and notes on what is kept."""


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """What one resource yielded."""

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
        """Return the plan as plain values, without the parameters of calls, which can be long."""
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
    """Whether the calls are known in advance, rather than generated while they are carried out."""
    return isinstance(change.calls, Sequence)


def plan(resources: Sequence[Resource]) -> Plan:
    """Ask every resource for its differences. Raises PostamtError if AWS refuses a read.

    After a conflict, a refused read only ends the plan early: of a bucket in another account the
    lifecycle cannot be read, but the conflict is what explains it.
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
    """Ask every resource what removes it, in reverse order of creation."""
    return Plan(tuple(PlanEntry(r.title, tuple(r.destroy())) for r in reversed(resources)))


def carry_out(wanted: Plan, aws: AwsClient, done: Callable[[str, str], None]) -> int:
    """Carry out the changes one after the other; return the number of calls made.

    `done` gets the title and message of each change once AWS has it. Nothing is stored here: after
    an interruption a new plan finds what is left to do. Raises MisconfiguredError, before anything
    is written, if the plan has conflicts; otherwise what `AwsClient.write` and `Change.act` raise.
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
