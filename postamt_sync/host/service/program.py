"""How this program is installed: its command, where its code is, and the files shipped with it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.errors import MisconfiguredError

PROTECTED = (Path("/home"), Path("/root"), Path("/run/user"))
"""The directories that ProtectHome= hides from a service."""
SYSTEM = Path("/usr")

PACKAGE = Path(__file__).parents[2]


EXAMPLE = "config.example.toml"

_HERE = Path(__file__).parent

_CHECKOUT = _HERE.parents[2]


@dataclass(frozen=True, slots=True)
class Program:
    """The command, and the directories outside /usr that contain Python, libraries and our code."""

    command: Path
    places: tuple[Path, ...]

    @classmethod
    def running(
        cls,
        prefix: Path = Path(sys.prefix),
        base_prefix: Path = Path(sys.base_prefix),
        package: Path = PACKAGE,
    ) -> Program:
        """Describe this very process, whether run from pipx, a virtual environment or the system.

        Raises MisconfiguredError if there is no command beside the interpreter.
        """
        command = prefix / "bin" / "postamt-sync"
        if not command.exists():
            raise MisconfiguredError(
                f"There is no {command} for systemd to start.",
                "Install postamt-sync with pipx or into a virtual environment and use its command.",
            )
        found = dict.fromkeys([prefix, base_prefix, base_prefix.resolve(), package.parent])
        return cls(command, tuple(_outermost(p for p in found if not p.is_relative_to(SYSTEM))))


def hidden(path: Path) -> bool:
    """Whether ProtectHome= would hide this path from the service."""
    return any(path.is_relative_to(place) for place in PROTECTED)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(outer) for outer in kept):
            kept.append(path)
    return kept


def shipped(name: str) -> str:
    """Return the text of `systemd/<name>`, or of the example configuration."""
    path = Path(name) if name == EXAMPLE else Path("systemd", name)
    packed = _HERE / path
    return (packed if packed.exists() else _CHECKOUT / path).read_text()
