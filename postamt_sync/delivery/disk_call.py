"""One question to a disk, and how it stands."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol


class Owner(Protocol):
    """Whose threads carry it out."""

    def do(self, call: DiskCall) -> None: ...


@dataclass(slots=True)
class DiskCall:
    """Something that is asked of a disk."""

    owner: Owner
    function: Callable[..., Any]
    args: tuple[Any, ...]
    release: Callable[[Any], object] | None = None
    given_up: bool = False
    """Nobody waits for it any more: the disk hangs until it has come to its end."""
    left: bool = False
    """Nobody waits for it any more: the disk is late until it has come to its end."""
    began: float | None = None
    """When a thread took it up, on the clock of its owner."""
    future: Future[Any] = field(default_factory=Future)
