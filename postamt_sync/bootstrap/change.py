"""A write to AWS as plain data, so that the same list is shown, carried out and counted.

Every name is known in advance (`stack.py`). Only what AWS assigns, such as the id of a role, has to
wait for an earlier call: such parameters are `late`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Guard:
    """What a write replaces: read again just before the write and compared with what was `seen`.

    `what` names it in a sentence ("the bucket policy of …").
    """

    what: str
    read: Callable[[], Any]
    seen: Any


@dataclass(frozen=True, slots=True)
class Call:
    """One boto3 call that writes: client name, method, parameters.

    `retry_on` lists error codes that go away by themselves, once something just created is known
    throughout AWS. `on_response` gets the answer before anything else happens, for what AWS says
    only once, such as a secret. A `once` call is never retried when its answer is lost, because it
    would create a second resource. `late` returns parameters known only just before the call; they
    override `parameters`.
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
    """Return a call with no special handling."""
    return Call(service, operation, parameters)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between the actual and the wanted state, in words, and what removes it.

    `calls` run in order; they may be generated lazily (one for each batch of object versions).
    `act` runs after them, for anything that is more than calls to AWS; it raises PostamtError if it
    fails.
    """

    message: str
    calls: Iterable[Call] = ()
    act: Callable[[], object] | None = field(default=None, repr=False)


class NoteKind(enum.Enum):
    """The kinds of notes that other code acts on."""

    OTHER = enum.auto()
    SANDBOX = enum.auto()
    """SES lets the account send to verified recipients only."""
    CONFIGURATION = enum.auto()
    """An option of the configuration is not what the stack has."""
    CERTIFICATE = enum.auto()
    """The certificate is waiting for its DNS record, and the webmail for the certificate."""


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know or do, and that no call of ours can change."""

    message: str
    kind: NoteKind = NoteKind.OTHER


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that prevents the plan from being carried out, and what to do about it."""

    message: str
    remedy: str


PlanItem = Change | Note | Conflict
