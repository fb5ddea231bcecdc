"""Taking in a queue that the topic fills: messages are received in batches, then deleted.

A message is deleted once it is settled: the ledger has what was in it, or has kept it as one that
we cannot use, so that it does not come again and again. If there may be trouble on our side
(ledger, certificate, network), it stays in the queue, hidden for a pause that grows with the number
of times it was received. A message that comes twice does no harm.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from postamt_sync.awaiting import contained
from postamt_sync.aws.clients import LONG_POLL_SECONDS
from postamt_sync.backoff import growing_pause
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.intake.notifications import ArrivalSink, NotificationOutcome, Notifications
from postamt_sync.intake.sns_message import ForgedError, MalformedError, SnsMessage, read_message
from postamt_sync.intake.sqs import MOST_AT_ONCE, QueueMessage
from postamt_sync.mail.arrival import Source

RECEIVERS = 4
"""How many batches are under way at a time while a queue is drained."""
HIDDEN_SECONDS = 120
"""Seconds for which a message is hidden while we work on it; renewed if a disk is slow."""
LONGEST_HIDDEN = 3600.0
"""Seconds: the longest pause before a message is tried again."""
LEAST_PAUSE = 5.0
"""Seconds between two long polls that find nothing: not every server waits when asked to."""
DRAIN_WAIT = 1
"""Seconds. With less, SQS asks only some of its servers, and finding none would prove nothing."""
DRAIN_SECONDS = 60.0
"""Seconds: a flood of messages must not keep the poll from listing. The next poll continues."""


class QueueClient(Protocol):
    """What we need of a queue, see `Sqs`. Every method raises PostamtError, always temporary."""

    async def receive(self, wait: int, visibility: int) -> list[QueueMessage]: ...
    async def delete(self, messages: Sequence[QueueMessage]) -> int: ...
    async def hide(self, seconds: Sequence[tuple[QueueMessage, int]]) -> None: ...


Settled = Callable[[Sequence[tuple[QueueMessage, SnsMessage]]], Awaitable[None]]
"""Gets genuine messages before they are deleted. If it raises, they stay in the queue."""


@dataclass(frozen=True, slots=True)
class QueueClocks:
    """Both take or return seconds."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(slots=True)
class QueueTally:
    """What came out of a queue since the daemon started."""

    taken: Counter[NotificationOutcome] = field(default_factory=Counter)
    disbelieved: int = 0
    left: int = 0
    """How often a message was left for a later attempt."""


class QueueConsumer:
    """Passes the messages of one queue to `notifications`, as `source`."""

    def __init__(
        self,
        store: QueueClient,
        source: Source,
        notifications: Notifications,
        inbox: ArrivalSink,
        events: Events,
        *,
        settled: Settled | None = None,
        hidden: float = HIDDEN_SECONDS,
        clocks: QueueClocks | None = None,
    ) -> None:
        """`hidden` is in seconds: messages that take longer than half of it are hidden again."""
        self._clocks = clocks or QueueClocks()
        self.source = source
        self.tally = QueueTally()
        self._store = store
        self._notifications = notifications
        self._inbox = inbox
        self._events = events
        self._settled = settled
        self._hidden = hidden

    async def drain(self, seconds: float = DRAIN_SECONDS) -> int:
        """Take in what is there, for about `seconds` at most; return how many messages came.

        Raises PostamtError if the queue cannot be read, or if no message of a batch could be
        settled: then there is no point in going on.
        """
        end = time.monotonic() + seconds
        came = await asyncio.gather(
            *(self._receive_until_empty(end) for _ in range(RECEIVERS)), return_exceptions=True
        )
        errors = [result for result in came if isinstance(result, BaseException)]
        if errors:
            raise errors[0]
        return sum(count for count in came if isinstance(count, int))

    async def listen(self) -> int:
        """Wait for messages as long as SQS allows, and take them in; return how many came.

        Raises what `drain` raises.
        """
        asked = self._clocks.monotonic()
        came = await self._receive(LONG_POLL_SECONDS)
        if not came and (left := LEAST_PAUSE - (self._clocks.monotonic() - asked)) > 0:
            await self._clocks.sleep(left)
        if came == MOST_AT_ONCE:
            came += await self.drain()
        return came

    async def _receive_until_empty(self, end: float) -> int:
        total = 0
        while came := await self._receive(DRAIN_WAIT):
            total += came
            if time.monotonic() > end:
                break
        return total

    async def _receive(self, wait: int) -> int:
        messages = await self._store.receive(wait, HIDDEN_SECONDS)
        if messages:
            await self._take(messages)
        return len(messages)

    async def _take(self, messages: Sequence[QueueMessage]) -> None:
        keeping = asyncio.create_task(self._keep_hidden(messages))
        try:
            fates = await asyncio.gather(*(self._judge(message) for message in messages))
            true = [
                (m, f) for m, f in zip(messages, fates, strict=True) if isinstance(f, SnsMessage)
            ]
            if true and self._settled is not None:
                await self._settled(true)
        finally:
            keeping.cancel()
        failed = [
            (m, f) for m, f in zip(messages, fates, strict=True) if isinstance(f, PostamtError)
        ]
        left = {message.handle for message, _ in failed}
        done = [message for message in messages if message.handle not in left]
        if done and (undeleted := await self._store.delete(done)):
            self._events.not_deleted(self.source, undeleted)
        if failed:
            await self._postpone([message for message, _ in failed])
        if failed and not done:
            raise failed[0][1]

    async def _judge(self, message: QueueMessage) -> SnsMessage | PostamtError | None:
        """Return the message if it is genuine and settled, or the error that leaves it there.

        None: it must not be believed, and was kept for `status`.
        """
        try:
            try:
                told = read_message(message.body.encode())
                outcome = await contained(self._notifications.take(told, self.source))
                self.tally.taken[outcome] += 1
            except (MalformedError, ForgedError) as error:
                await self._inbox.keep_notification(self.source, error.problem, message.body)
                self.tally.disbelieved += 1
                self._events.notification_not_understood(self.source, error.problem)
                return None
        except PostamtError as error:
            self.tally.left += 1
            return error
        except Exception as error:  # noqa: BLE001  a bug with one message must not end the daemon
            self.tally.left += 1
            self._events.internal_error(error)
            return PostamtError(f"Unexpected error: {error!r}.", "Please report it.")
        return told

    async def _postpone(self, messages: Sequence[QueueMessage]) -> None:
        pauses = [
            (message, round(growing_pause(message.received - 1, longest=LONGEST_HIDDEN)))
            for message in messages
        ]
        with suppress(PostamtError):  # then they become visible when their time is up
            await self._store.hide(pauses)

    async def _keep_hidden(self, messages: Sequence[QueueMessage]) -> None:
        """Renew the time before it is up: another receiver would only repeat the work."""
        while True:
            await asyncio.sleep(self._hidden / 2)
            with suppress(PostamtError):
                await self._store.hide([(message, HIDDEN_SECONDS) for message in messages])
