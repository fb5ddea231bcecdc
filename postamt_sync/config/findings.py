"""What is wrong with a configuration, collected until all of it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from postamt_sync.errors import Problem
from postamt_sync.events import printable

Location = tuple[str | int, ...]
"""The way to a value: keys of tables, indexes of lists."""


@dataclass(frozen=True, slots=True)
class ConfigFinding:
    """One thing wrong, at a place that may not exist (a missing option has one too)."""

    at: Location
    wrong: str
    example: str = ""


@dataclass(slots=True)
class ConfigFindings:
    """A growing list of findings over one tree of values.

    `variables` says which values came from the environment: a person looks for the mistake there.
    """

    values: Mapping[str, Any]
    variables: Mapping[Location, str] = field(default_factory=dict)
    found: list[ConfigFinding] = field(default_factory=list)

    def add(self, finding: ConfigFinding) -> None:
        self.found.append(finding)

    def problems(self) -> list[Problem]:
        """Return all as a person reads them, in the order of the file."""
        unique = dict.fromkeys(self.found)
        ordered = sorted(unique, key=lambda finding: _place(self.values, finding.at))
        return [Problem(self._key(f.at), f.wrong, f.example) for f in ordered]

    def _key(self, at: Location) -> str:
        variable = next(
            (self.variables[at[:n]] for n in range(len(at), 0, -1) if at[:n] in self.variables),
            None,
        )
        key = _dotted(self.values, at)
        return f"{key} (from {variable})" if variable else key


def _dotted(values: Mapping[str, Any], at: Location) -> str:
    text = ""
    here: Any = values
    for step in at:
        if isinstance(step, int):
            text += f"[{_item_name(here, step)}]"
            here = here[step] if isinstance(here, Sequence) and step < len(here) else None
        else:
            text += ("." if text else "") + printable(step, 60)
            here = here.get(step) if isinstance(here, Mapping) else None
    return text


def _item_name(items: Any, index: int) -> str:
    """Name a mailbox by its name where just one has it, else by its number, counted from one."""
    names = [item.get("name") if isinstance(item, Mapping) else None for item in items or ()]
    name = names[index] if index < len(names) else None
    if isinstance(name, str) and names.count(name) == 1:
        return printable(name, 60)
    return f"#{index + 1}"


def _place(values: Any, at: Location) -> tuple[int, ...]:
    """Sort key: the position at each level; what is missing comes after what is there."""
    places: list[int] = []
    for step in at:
        if isinstance(step, int):
            places.append(step)
            values = values[step] if isinstance(values, Sequence) and step < len(values) else None
        elif isinstance(values, Mapping) and step in values:
            places.append(list(values).index(step))
            values = values[step]
        else:
            places.append(1_000_000)
            values = None
    return tuple(places)
