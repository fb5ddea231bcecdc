"""The path that every SNS message takes: topic, signature, meaning, ledger.

Webhook, queue and dead letters only differ in how a message reaches us and how it is acknowledged;
what it is worth is decided here. For a message from a topic that is not ours, nothing is fetched
and nothing is kept.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from postamt_sync.config import Settings
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.intake.sns_message import ForgedError, MessageType, SnsMessage, verify
from postamt_sync.mail.arrival import Arrival, Source
from postamt_sync.mail.feedback import Feedback
from postamt_sync.mail.notification import NotificationKind, read_notification
from postamt_sync.mail.sent_mail import is_sent

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

WITH_SHA1 = "The message is signed with SHA-1 (SignatureVersion 1)."
SHA1_REMEDY = (
    "Let the topic sign with SHA-256, as bootstrap apply does (SignatureVersion 2), or set "
    "accept_sha1 = true in [webhook]."
)


KEPT_IDS = 256
"""How many ids of kept messages are remembered."""


class ArrivalSink(Protocol):
    """What we need of the ledger. What a method was given is durable when it returns."""

    async def record(self, arrivals: Sequence[Arrival]) -> int:
        """Upsert these; return how many were new. Raises PostamtError, always temporary."""

    async def keep_notification(self, source: Source, reason: str, text: str) -> None:
        """Keep a message that we cannot use, for `status`. The ledger limits their number."""

    async def keep_feedback(self, feedback: Feedback) -> None:
        """Note a bounce or a complaint for an alert. The same one counts once."""


class CertificateSource(Protocol):
    """Provides the keys that messages are signed with."""

    async def key(self, url: str, peer: str = "") -> RSAPublicKey:
        """Return the key at `url`. `peer` brought the message, "" for one from our queue."""

    def proved_good(self, url: str) -> None:
        """Note that a message of our topic was signed with the key at `url`."""


class Subscriber(Protocol):
    """Handles messages about our subscription to the topic."""

    async def confirm(self, token: str) -> None:
        """Confirm the subscription. Raises PostamtError, temporary if trying again may help."""

    def unsubscribed(self) -> None:
        """Take note that a subscription has ended: maybe ours, and maybe long ago."""


OnReceipt = Callable[[str, Mapping[str, object]], None]


def nobody_listens(mail: str, receipt: Mapping[str, object]) -> None:
    """Ignore receipts."""


class NotificationOutcome(enum.StrEnum):
    """What became of a genuine message. In each case it is settled: it need not come again."""

    STORED = "stored"
    """At least one arrival is new to the ledger."""
    KNOWN = "known"
    """Nothing new: it was announced before, or is not a mail."""
    TEST_EVENT = "test event"
    FEEDBACK = "feedback"
    """It is about a mail that was sent. A bounce or complaint is noted for an alert."""
    NOT_UNDERSTOOD = "not understood"
    """Kept for `status`. A poll was asked for, which finds mail without understanding messages."""
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class OurTopic:
    """What is ours: the topic, and the place of our mail in S3. Everything else is not."""

    topic_arn: str
    bucket: str
    prefix: str
    accept_sha1: bool = False
    """Whether messages with SignatureVersion 1 are accepted, whose SHA-1 can be forged."""
    takes_sent: bool = False
    """Whether mail that was sent from the webmail is ours too."""

    def holds(self, arrival: Arrival) -> bool:
        """Tell whether an arrival is for our bucket and prefix."""
        if arrival.bucket != self.bucket:
            return False
        sent = self.takes_sent and arrival.envelope is None and is_sent(arrival.key, self.prefix)
        return sent or arrival.key.startswith(self.prefix)


def our_topic(settings: Settings) -> OurTopic:
    """Return what is ours according to the configuration."""
    webhook, bucket = settings.webhook, settings.bucket
    sha1 = webhook is not None and webhook.accept_sha1
    sent = settings.webmail.enabled
    return OurTopic(
        settings.topic_arn, bucket.name, bucket.prefix, accept_sha1=sha1, takes_sent=sent
    )


@dataclass(frozen=True, slots=True)
class Notifications:
    """Takes SNS messages from anybody, and lets only our own mail through to the ledger."""

    place: OurTopic
    keys: CertificateSource
    inbox: ArrivalSink
    subscriber: Subscriber
    poll_soon: Callable[[], None]
    events: Events
    kept: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_IDS))
    """Ids of messages that were kept: anybody can send a genuine message again."""
    on_receipt: OnReceipt = nobody_listens
    """Called with mail id and message of each receipt for our mail, once that is recorded."""

    async def take(
        self, message: SnsMessage, source: Source, peer: str = ""
    ) -> NotificationOutcome:
        """Verify one message and act on it. On return the ledger has what was in it, durably.

        `peer` is who brought it, "" if it came through our queue. Raises ForgedError if it must not
        be believed, and another PostamtError for trouble on our side that may be over when it is
        delivered again (certificate, ledger, AWS).
        """
        if message.topic_arn != self.place.topic_arn:
            raise ForgedError("The message comes from a topic that is not ours.")
        if message.signature_version == "1" and not self.place.accept_sha1:
            raise ForgedError(WITH_SHA1, SHA1_REMEDY)
        verify(message, await self.keys.key(message.certificate_url, peer))
        self.keys.proved_good(message.certificate_url)
        if message.message_id in self.kept:
            return NotificationOutcome.NOT_UNDERSTOOD
        match message.type:
            case MessageType.NOTIFICATION:
                return await self._notification(message, source)
            case MessageType.SUBSCRIPTION_CONFIRMATION:
                return await self._confirmation(message, source)
            case MessageType.UNSUBSCRIBE_CONFIRMATION:
                # Its URL would subscribe again, but whoever unsubscribed was allowed to.
                self.subscriber.unsubscribed()
                return NotificationOutcome.UNSUBSCRIBED

    async def _notification(self, message: SnsMessage, source: Source) -> NotificationOutcome:
        notification = read_notification(message.message, source)
        if notification.kind is NotificationKind.NOT_UNDERSTOOD:
            return await self._keep(message, source, notification.reason)
        if notification.kind is NotificationKind.TEST_EVENT:
            self.events.test_event(source)
            return NotificationOutcome.TEST_EVENT
        if notification.kind is NotificationKind.FEEDBACK:
            if notification.feedback is not None:
                await self.inbox.keep_feedback(notification.feedback)
            return NotificationOutcome.FEEDBACK
        ours = [arrival for arrival in notification.arrivals if self.place.holds(arrival)]
        new = await self.inbox.record(ours) if ours else 0
        if notification.kind is NotificationKind.RECEIPT:
            for arrival, receipt in zip(notification.arrivals, notification.origins, strict=False):
                if self.place.holds(arrival):
                    self.on_receipt(arrival.mail_id, receipt)
        if len(ours) < len(notification.arrivals):
            return await self._keep(message, source, "an object outside our bucket or prefix")
        return NotificationOutcome.STORED if new else NotificationOutcome.KNOWN

    async def _confirmation(self, message: SnsMessage, source: Source) -> NotificationOutcome:
        try:
            await self.subscriber.confirm(message.token)
        except PostamtError as error:
            if error.temporary:
                raise
            return await self._keep(message, source, error.problem)
        return NotificationOutcome.CONFIRMED

    async def _keep(self, message: SnsMessage, source: Source, reason: str) -> NotificationOutcome:
        await self.inbox.keep_notification(source, reason, message.message)
        self.kept.append(message.message_id)
        self.events.notification_not_understood(source, reason)
        self.poll_soon()
        return NotificationOutcome.NOT_UNDERSTOOD
