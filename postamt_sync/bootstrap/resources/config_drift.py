"""Whether the daemon's configuration says the same as the stack."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from postamt_sync.bootstrap.change import Note, PlanItem
from postamt_sync.bootstrap.configuration import wanted
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.config import Settings
from postamt_sync.config.toml import toml_value
from postamt_sync.events import printable


@dataclass(frozen=True, slots=True)
class ConfigDrift:
    """Options that a person has to change; nothing at AWS does."""

    stack: Stack
    settings: Settings
    queue_urls: Mapping[str, str]

    @property
    def title(self) -> str:
        return f"configuration {printable(self.settings.source, 100)}"

    def plan(self) -> Iterator[PlanItem]:
        for table, options in wanted(self.stack, self.queue_urls).items():
            section = getattr(self.settings, table)
            for name, value in options.items():
                actual = getattr(section, name)
                if actual != value:
                    yield Note(
                        f"{table}.{name} is {toml_value(actual)}; the stack's is "
                        f"{toml_value(value)}"
                    )

    def destroy(self) -> Iterator[PlanItem]:
        yield from ()
