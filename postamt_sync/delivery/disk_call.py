"""One question to a disk, and how it stands."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from postamt_sync.delivery.mailbox_threads import MailboxThreads


@dataclass(slots=True)
class DiskCall:
    """Something that is asked of a disk."""

    owner: MailboxThreads
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
