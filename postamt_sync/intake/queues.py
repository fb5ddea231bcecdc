"""The queues as the daemon uses them: drained at every poll, or waited at all the time.

The dead letters are always drained at polls: they are few and never urgent, since the poll finds
their mail by itself. What they bring is the envelope.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from postamt_sync.awaiting import contained
from postamt_sync.aws.clients import lean_session, sqs_client
from postamt_sync.backoff import growing_pause
from postamt_sync.config import Settings
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.intake.notifications import ArrivalSink as NotificationSink
from postamt_sync.intake.notifications import (
    CertificateSource,
    Notifications,
    OnReceipt,
    nobody_listens,
    our_topic,
)
from postamt_sync.intake.queue import QueueConsumer
from postamt_sync.intake.sns_certificates import certificates
from postamt_sync.intake.sns_message import SnsMessage
from postamt_sync.intake.sqs import QueueMessage, Sqs
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.arrival_queue import ArrivalQueue, DeadLetter
from postamt_sync.ledger.overview import Overview
from postamt_sync.ledger.source_notes import NOTED_EVERY, SourceNotes
from postamt_sync.mail.arrival import Source
from postamt_sync.throttle import Throttle
from postamt_sync.unexpected import as_trouble

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

LONGEST_PAUSE = 300.0


class QueueArrivals(NotificationSink, Protocol):
    """What queues need of the ledger, which includes noting dead letters."""

    async def keep_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Note deliveries that SNS gave up, each once; durable on return. Raises PostamtError."""


def _nobody_waits() -> None:
    """The default for hooks that are called without arguments."""


class UnaskedError(PostamtError):
    """A confirmation that we have not asked for."""

    temporary = False


class NullSubscriber:
    """Stands for a queue's subscription, which is made by the owner of the queue, not by us."""

    def __init__(
        self, topic_arn: str, events: Events, doubt: Callable[[], None] = _nobody_waits
    ) -> None:
        """`doubt` asks SNS whether the webhook's subscription, which is ours, still exists."""
        self._topic_arn = topic_arn
        self._events = events
        self._doubt = doubt
        self._throttle = Throttle()

    async def confirm(self, token: str) -> None:  # noqa: ARG002
        """Raise UnaskedError: SNS asks a queue only if the topic is in another account."""
        raise UnaskedError(
            "SNS asks through the queue to confirm a subscription that is not ours.",
            "If the topic is in another account, confirm the subscription by hand.",
        )

    def unsubscribed(self) -> None:
        """Log it now and then, and have SNS asked whether it was the webhook's subscription."""
        if self._throttle.allows("unsubscribed"):
            self._events.unsubscribed(self._topic_arn)
        self._doubt()


@dataclass(frozen=True, slots=True)
class QueueHooks:
    """Who else gets to know something.

    `poll_soon` is called when a listing has to find out more, `tell_soon` after dead letters were
    drained, which a person should be told of. `why_refused` returns why the webhook last could not
    take a delivery, "" if that is not known. `doubt_subscription` is called when a message says
    that a subscription has ended.
    """

    poll_soon: Callable[[], None] = _nobody_waits
    tell_soon: Callable[[], None] = _nobody_waits
    why_refused: Callable[[], str] = str
    on_receipt: OnReceipt = nobody_listens
    doubt_subscription: Callable[[], None] = _nobody_waits


class Queues:
    """The queues of one configuration. `client` is used for both."""

    def __init__(
        self,
        settings: Settings,
        client: SQSClient,
        keys: CertificateSource,
        inbox: QueueArrivals,
        overview: Overview,
        events: Events,
        hooks: QueueHooks,
    ) -> None:
        self._hooks = hooks
        self._events = events
        self._notes = {
            source: SourceNotes(overview, events, source, every=NOTED_EVERY)
            for source in (Source.QUEUE, Source.DEAD_LETTER)
        }
        self._notifications = Notifications(
            our_topic(settings),
            keys,
            inbox,
            NullSubscriber(settings.topic_arn, events, hooks.doubt_subscription),
            hooks.poll_soon,
            events,
            on_receipt=hooks.on_receipt,
        )
        self._inbox = inbox
        self._client = client
        self.drained: list[QueueConsumer] = []
        """The queues that `drain` empties."""
        self.listened: QueueConsumer | None = None
        if settings.queue.url:
            queue = self._queue(settings.queue.url, Source.QUEUE)
            if settings.queue.long_poll:
                self.listened = queue
            else:
                self.drained.append(queue)
        if settings.queue.dead_letter_url:
            self.drained.append(self._queue(settings.queue.dead_letter_url, Source.DEAD_LETTER))

    async def drain(self) -> None:
        """Empty the queues. Failures are noted and logged, never raised."""
        await asyncio.gather(*(self._drain(queue) for queue in self.drained))

    async def drain_all(self) -> None:
        """Do the same for all queues, including the one that is otherwise waited at."""
        listened = [self.listened] if self.listened is not None else []
        await asyncio.gather(*(self._drain(queue) for queue in (*self.drained, *listened)))

    async def listen(self) -> None:
        """Wait at the queue until cancelled. Returns at once if there is none to wait at."""
        failures = 0
        while self.listened is not None:
            try:
                await self.listened.listen()
            except Exception as error:  # noqa: BLE001  whatever it answers, it is asked again
                pause = growing_pause(failures, longest=LONGEST_PAUSE)
                failures += 1
                await self._bad(self.listened, as_trouble(error), pause)
                await asyncio.sleep(pause)
            else:
                failures = 0
                await self._well(self.listened)

    def _queue(self, url: str, source: Source) -> QueueConsumer:
        return QueueConsumer(
            Sqs(self._client, url),
            source,
            self._notifications,
            self._inbox,
            self._events,
            settled=self._keep_dead_letters if source is Source.DEAD_LETTER else None,
        )

    async def _keep_dead_letters(self, letters: Sequence[tuple[QueueMessage, SnsMessage]]) -> None:
        why = self._hooks.why_refused()
        await self._inbox.keep_dead_letters(
            [
                DeadLetter(told.message_id, message.sent_at or time.time(), message.error or why)
                for message, told in letters
            ]
        )

    async def _drain(self, queue: QueueConsumer) -> None:
        try:
            if await contained(queue.drain()) and queue.source is Source.DEAD_LETTER:
                self._hooks.tell_soon()
        except Exception as error:  # noqa: BLE001  the poll goes on, whatever the queue answers
            await self._bad(queue, as_trouble(error), None)
        else:
            await self._well(queue)

    async def _well(self, queue: QueueConsumer) -> None:
        tally = queue.tally
        detail = f"{sum(tally.taken.values())} taken, {tally.disbelieved} not believed since start"
        await self._notes[queue.source].well(detail)

    async def _bad(self, queue: QueueConsumer, error: PostamtError, seconds: float | None) -> None:
        self._events.queue_failed(queue.source, str(error), seconds)
        await self._notes[queue.source].bad(error)


async def drain_once(
    settings: Settings, ledger: Ledger, events: Events, environ: Mapping[str, str] = os.environ
) -> None:
    """Empty the queues of a configuration, which has some, for a single pass.

    On return the ledger has what was in them. Failures are noted and logged, never raised.
    """
    region = settings.aws.region
    keys = certificates(settings, environ, events)
    queues = Queues(
        settings,
        sqs_client(lean_session(region), region),
        keys,
        ArrivalQueue(ledger, events, _nobody_waits),
        ledger.overview,
        events,
        QueueHooks(),
    )
    try:
        await queues.drain_all()
    finally:
        await keys.close()
