"""What only the running daemon knows, and no ledger: its own doings since it started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Runtime:
    """One moment of the daemon. Counts begin with its start.

    `notifications_taken` counts by outcome, `notifications_refused` by HTTP status (408: cut off
    unanswered). `trouble` is why the bucket cannot be read, "" if it can. `heartbeat_failing` is
    None where no heartbeat is configured.
    """

    mails: int = 0
    bytes: int = 0
    trouble: str = ""
    notifications_taken: Mapping[str, int] = field(default_factory=dict)
    notifications_refused: Mapping[int, int] = field(default_factory=dict)
    heartbeat_failing: bool | None = None
