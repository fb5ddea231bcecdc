"""Arrivals on their way into the ledger, in groups: a burst shares its commits.

While one group is being written, what comes in meanwhile forms the next. Nobody waits for others to
come, and everything queued here is awaited by its caller, so the callers bound the memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postamt_sync.awaiting import contained
from postamt_sync.events import Events, printable
from postamt_sync.ledger.incidents import Cause, Incident
from postamt_sync.ledger.ledger import Ledger
from postamt_sync.log_line import without_markup
from postamt_sync.mail.arrival import Arrival, Source
from postamt_sync.mail.feedback import Feedback, FeedbackKind

_Pending = tuple[Sequence[Arrival], "asyncio.Future[list[bool]]"]


MANY = 8
"""How many callers are in one group in a burst, and hardly ever otherwise."""
A_MOMENT = 0.1
"""Seconds."""

LONGEST_ID = 200
"""Characters kept of an id from SNS or SES, which makes sure that something counts once."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A delivery that SNS gave up: the message's id, when (in seconds since 1970), and why."""

    message_id: str
    at: float
    error: str


class ArrivalQueue:
    """The way into the ledger for everything that hears of mail, without blocking the loop."""

    def __init__(self, ledger: Ledger, events: Events, on_work: Callable[[], None]) -> None:
        """`on_work` is called after something that may be due was recorded."""
        self._ledger = ledger
        self._events = events
        self._on_work = on_work
        self._many = False
        self._many_until = 0.0
        self._pending: list[_Pending] = []
        self._writer: asyncio.Task[None] | None = None

    @property
    def many_wait(self) -> bool:
        """Whether many callers wait, or did a moment ago: in a burst the next are on their way."""
        return self._many or asyncio.get_running_loop().time() < self._many_until

    async def record(self, arrivals: Sequence[Arrival]) -> int:
        """Record arrivals and return how many of them were unknown. All are durable on return.

        Raises TryLaterError if the ledger's disk refuses; then none of them was recorded.
        """
        future: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()
        self._pending.append((arrivals, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        unknown = await future
        # Logged here and not by the writer: a log that fails must not fail the other callers.
        for arrival, new in zip(arrivals, unknown, strict=True):
            if new:
                self._events.announced(arrival.mail_id, arrival.key, arrival.source)
        return sum(unknown)

    async def keep_notification(self, source: Source, reason: str, text: str) -> None:
        """Keep a notification that was not understood, durably, for `status`."""
        await asyncio.to_thread(self._ledger.arrivals.keep_notification, source, reason, text)

    async def keep_feedback(self, feedback: Feedback) -> None:
        """Note a bounce, a complaint or an unsent mail, durably, for an alert."""
        complained = feedback.kind is FeedbackKind.COMPLAINT
        people = ", ".join(printable(address, 100) for address in feedback.recipients[:5])
        about = f' ("{printable(feedback.subject, 80)}")' if feedback.subject else ""
        trouble = Incident(
            Cause.COMPLAINTS if complained else Cause.BOUNCES,
            feedback.id[:LONGEST_ID],
            time.time() if feedback.at is None else feedback.at,
            f"{people}{about}: {printable(feedback.reason) or 'without a reason'}",
        )
        await asyncio.to_thread(self._ledger.incidents.happened, [trouble])

    async def keep_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Note deliveries that SNS gave up, durably, for an alert. Each counts once."""
        await asyncio.to_thread(
            self._ledger.incidents.happened,
            [
                Incident(
                    Cause.DEAD_LETTERS,
                    letter.message_id[:LONGEST_ID],
                    letter.at,
                    printable(without_markup(letter.error))
                    or "most likely the webhook could not be reached",
                )
                for letter in letters
            ],
        )

    async def _write(self) -> None:
        try:
            while self._pending:
                group, self._pending = self._pending, []
                self._many = len(group) >= MANY
                await self._commit(group)
                if self._many:
                    self._many_until = asyncio.get_running_loop().time() + A_MOMENT
        finally:
            self._many = False
            self._writer = None

    async def _commit(self, group: list[_Pending]) -> None:
        flat = [arrival for arrivals, _ in group for arrival in arrivals]
        try:
            unknown = await contained(asyncio.to_thread(self._ledger.arrivals.record, flat))
        except Exception as error:  # noqa: BLE001  no caller may be left waiting forever
            for _, future in group:
                if not future.done():
                    future.set_exception(error)
            return
        start = 0
        for arrivals, future in group:
            end = start + len(arrivals)
            if not future.done():  # its caller may have given up meanwhile
                future.set_result(unknown[start:end])
            start = end
        self._on_work()
