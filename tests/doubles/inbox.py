"""Collaborators of the intake that remember what they were told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from postamt_sync.errors import PostamtError
from postamt_sync.ledger.arrival_queue import DeadLetter
from postamt_sync.mail.arrival import Arrival, Source
from postamt_sync.mail.feedback import Feedback


@dataclass
class MemoryInbox:
    """The ledger's intake side; `trouble` is raised instead of storing."""

    known: set[tuple[str, str]] = field(default_factory=set)
    arrivals: list[Arrival] = field(default_factory=list)
    notifications: list[tuple[Source, str, str]] = field(default_factory=list)
    feedback: list[Feedback] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    trouble: BaseException | None = None

    async def record(self, arrivals: Sequence[Arrival]) -> int:
        if self.trouble:
            raise self.trouble
        before = len(self.known)
        self.known |= {(arrival.bucket, arrival.key) for arrival in arrivals}
        self.arrivals += arrivals
        return len(self.known) - before

    async def keep_notification(self, source: Source, reason: str, text: str) -> None:
        if self.trouble:
            raise self.trouble
        self.notifications.append((source, reason, text))

    async def keep_feedback(self, feedback: Feedback) -> None:
        if self.trouble:
            raise self.trouble
        self.feedback.append(feedback)

    async def keep_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        if self.trouble:
            raise self.trouble
        self.dead_letters += letters

    @property
    def empty(self) -> bool:
        return not self.arrivals and not self.notifications


@dataclass
class OneKey:
    """Gives one key for each address, and notes the address."""

    public: RSAPublicKey
    asked: list[str] = field(default_factory=list)

    async def key(self, url: str, _peer: str = "") -> RSAPublicKey:
        self.asked.append(url)
        return self.public

    def proved_good(self, url: str) -> None:
        assert url in self.asked


@dataclass
class MemorySubscriber:
    tokens: list[str] = field(default_factory=list)
    ended: int = 0
    trouble: PostamtError | None = None

    async def confirm(self, token: str) -> None:
        if self.trouble:
            raise self.trouble
        self.tokens.append(token)

    def unsubscribed(self) -> None:
        self.ended += 1


@dataclass
class MemoryLog:
    """A logger of `Events` that keeps what is said, as (level, event, fields)."""

    said: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def debug(self, event: str, **fields: Any) -> None:
        self.said.append(("debug", event, fields))

    def info(self, event: str, **fields: Any) -> None:
        self.said.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.said.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.said.append(("error", event, fields))

    def events(self, level: str = "") -> list[str]:
        return [event for said, event, _ in self.said if level in {"", said}]
