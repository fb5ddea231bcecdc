"""The one path that every SNS message takes: topic, signature, meaning, ledger.

Webhook, queue and dead letters differ in how a message reaches us and in how they say that it
was taken; what it is worth is decided here alone. Nothing is fetched, and nothing kept, for a
message of a topic that is not ours.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from postamt_sync.config import Settings
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.intake.sns_message import ForgedError, MessageType, SnsMessage, verify
from postamt_sync.mail.arrival import Arrival, Source
from postamt_sync.mail.feedback import Feedback
from postamt_sync.mail.notification import NotificationKind, read_notification
from postamt_sync.mail.sent_mail import is_sent

WITH_SHA1 = "The message is signed with SHA-1 (SignatureVersion 1)."
SHA1_REMEDY = (
    "Let the topic sign with SHA-256, as bootstrap apply does (SignatureVersion 2), or set "
    "accept_sha1 = true in [webhook]."
)


KEPT_IDS = 256


class ArrivalSink(Protocol):
    """What we need of the ledger. All are durable when they return, else they raise."""

    async def record(self, arrivals: Sequence[Arrival]) -> int:
        """Upsert these; return how many were new. Raises PostamtError (temporary)."""

    async def keep_notification(self, source: Source, reason: str, text: str) -> None:
        """Keep a message that we cannot use, for status; the ledger bounds their number."""

    async def keep_feedback(self, feedback: Feedback) -> None:
        """Note a bounce or a complaint, which a person is to be told of; the same counts once."""


class CertificateSource(Protocol):
    """Where the signing keys come from."""

    async def key(self, url: str, peer: str = "") -> RSAPublicKey:
        """Return the key; `peer` is who wants it, "" for a queue of ours."""

    async def proved_good(self, url: str) -> None:
        """A message of our topic was signed with it."""


class Subscriber(Protocol):
    """Who answers for our subscription to the topic."""

    async def confirm(self, token: str) -> None:
        """Raises PostamtError; temporary where another try may help."""

    def unsubscribed(self) -> None:
        """A true message says that a subscription ended: maybe ours, and maybe long ago."""


OnReceipt = Callable[[str, Mapping[str, object]], None]


def nobody_listens(mail: str, receipt: Mapping[str, object]) -> None:
    """For those who want to hear of mail only."""


class NotificationOutcome(enum.StrEnum):
    """What became of a true message. It is settled in each case: never deliver it again."""

    STORED = "stored"
    """At least one arrival is new to the ledger."""
    KNOWN = "known"
    """Nothing new: announced before, or nothing that is a mail."""
    TEST_EVENT = "test event"
    FEEDBACK = "feedback"
    """About a mail that was sent; a bounce or complaint is noted for an alert."""
    NOT_UNDERSTOOD = "not understood"
    """Kept for status; a poll was asked for, which needs no understanding."""
    CONFIRMED = "confirmed"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class OurTopic:
    """What is ours: the topic, and where in S3 our mail lies. Everything else is foreign."""

    topic_arn: str
    bucket: str
    prefix: str
    accept_sha1: bool = False
    """Whether messages of SignatureVersion 1 are believed, whose SHA-1 can be forged."""
    takes_sent: bool = False
    """Whether what was sent in the webmail is ours too."""

    def holds(self, arrival: Arrival) -> bool:
        if arrival.bucket != self.bucket:
            return False
        sent = self.takes_sent and arrival.envelope is None and is_sent(arrival.key, self.prefix)
        return sent or arrival.key.startswith(self.prefix)


def our_topic(settings: Settings) -> OurTopic:
    """Return what a configuration names."""
    webhook, bucket = settings.webhook, settings.bucket
    sha1 = webhook is not None and webhook.accept_sha1
    sent = settings.webmail.enabled
    return OurTopic(
        settings.topic_arn, bucket.name, bucket.prefix, accept_sha1=sha1, takes_sent=sent
    )


@dataclass(frozen=True, slots=True)
class Notifications:
    """Takes SNS messages from strangers and lets only our own mail through to the ledger."""

    place: OurTopic
    keys: CertificateSource
    inbox: ArrivalSink
    subscriber: Subscriber
    poll_soon: Callable[[], None]
    events: Events
    kept: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_IDS))
    """Ids of messages that were kept: a true one stays true, and anybody may send it again."""
    on_receipt: OnReceipt = nobody_listens
    """Is given mail id and message of each receipt for our mail, once that is recorded."""

    async def take(
        self, message: SnsMessage, source: Source, peer: str = ""
    ) -> NotificationOutcome:
        """Judge one message and act on it; on return the ledger has whatever was in it.

        `peer` is who brought it, "" where it came by a queue of ours.
        Raises ForgedError where it must not be believed, and any other PostamtError for a trouble
        of ours that another delivery may find gone (certificate, ledger, AWS).
        """
        if message.topic_arn != self.place.topic_arn:
            raise ForgedError("The message comes from a topic that is not ours.")
        if message.signature_version == "1" and not self.place.accept_sha1:
            raise ForgedError(WITH_SHA1, SHA1_REMEDY)
        verify(message, await self.keys.key(message.certificate_url, peer))
        await self.keys.proved_good(message.certificate_url)
        if message.message_id in self.kept:
            return NotificationOutcome.NOT_UNDERSTOOD
        match message.type:
            case MessageType.NOTIFICATION:
                return await self._notification(message, source)
            case MessageType.SUBSCRIPTION_CONFIRMATION:
                return await self._confirmation(message, source)
            case MessageType.UNSUBSCRIBE_CONFIRMATION:
                # Its URL would subscribe again: whoever unsubscribed had the right to.
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
