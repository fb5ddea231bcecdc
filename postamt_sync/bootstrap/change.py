"""One write at AWS, as plain data: what is shown, carried out and counted is the same list.

Every name is known beforehand (`stack.py`). The one thing that follows from another call is the id
that AWS gives a role: it is `late`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Guard:
    """What a write replaces: read again right before it, and compared with what was `seen`.

    `what` names it in a sentence ("the bucket policy of …").
    """

    what: str
    read: Callable[[], Any]
    seen: Any


@dataclass(frozen=True, slots=True)
class Call:
    """A write of boto3: client name, method, parameters.

    `retry_on` names error codes that pass by themselves, because AWS has not heard everywhere of
    what was made a moment ago. `on_response` takes the answer before anything else happens: what is
    in it is told only once. A call to be asked `once` is not repeated where its answer is lost:
    carried out twice, it would make two of what it makes. `late` returns parameters that can only
    be known right before it is asked; they come in the place of those of the same name.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    retry_on: tuple[str, ...] = ()
    guard: Guard | None = None
    on_response: Callable[[Mapping[str, Any]], None] | None = field(default=None, repr=False)
    once: bool = False
    late: Callable[[], Mapping[str, Any]] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return f"{self.service} {self.operation}"


def call(service: str, operation: str, **parameters: Any) -> Call:
    """Make a plain call."""
    return Call(service, operation, parameters)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between what is and what is to be, in words, and what ends it.

    `calls` are carried out in order; they may be found out only while they are carried out (the
    versions in a bucket). `act` is carried out after them, for what is more than calls to AWS: it
    raises PostamtError where it fails.
    """

    message: str
    calls: Iterable[Call] = ()
    act: Callable[[], object] | None = field(default=None, repr=False)


class NoteKind(enum.Enum):
    """Notes on which something else depends."""

    OTHER = enum.auto()
    SANDBOX = enum.auto()
    """SES lets the account send to verified recipients only."""
    CERTIFICATE = enum.auto()
    """The certificate waits for its record in the DNS, and the webmail for the certificate."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person should know or do; no call of ours changes it."""

    message: str
    kind: NoteKind = NoteKind.OTHER


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that keeps the plan from being carried out: what it is, and what to do."""

    message: str
    remedy: str


PlanItem = Change | Note | Conflict
