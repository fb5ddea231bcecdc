"""The path of an announcement: topic, signature, meaning, ledger."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postamt_sync.aws.errors import TokenError
from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.intake.notifications import NotificationOutcome, Notifications, OurTopic
from postamt_sync.intake.sns_message import ForgedError, read_message
from postamt_sync.mail.arrival import Source
from postamt_sync.mail.sent_mail import sent_key
from tests.doubles.inbox import MemoryInbox, MemoryLog, MemorySubscriber, OneKey
from tests.doubles.sns import (
    AWS_URL,
    BUCKET,
    PREFIX,
    TEST_EVENT,
    TOPIC,
    Signer,
    body,
    private_key,
    receipt,
    s3_event,
)


class Desk:
    """Announcements with everything around it."""

    def __init__(self):
        self.log, self.inbox, self.subscriber = MemoryLog(), MemoryInbox(), MemorySubscriber()
        self.keys = OneKey(private_key().public_key())
        self.polls = 0
        self.notifications = Notifications(
            place=OurTopic(TOPIC, BUCKET, PREFIX),
            keys=self.keys,
            inbox=self.inbox,
            subscriber=self.subscriber,
            poll_soon=self.poll_soon,
            events=Events(self.log),
        )

    def poll_soon(self):
        self.polls += 1

    async def take(self, signed, source=Source.QUEUE):
        return await self.notifications.take(read_message(body(signed)), source)

    async def notify(self, message):
        return await self.take(Signer().notification(message))


@pytest.fixture
def desk():
    return Desk()


@pytest.mark.parametrize("source", [Source.WEBHOOK, Source.QUEUE, Source.DEAD_LETTER])
async def test_a_receipt_brings_the_envelope(desk, source):
    signed = Signer().notification(receipt(f"{PREFIX}k1", BUCKET, "thomas@example.com", "b@x.de"))
    assert await desk.take(signed, source) is NotificationOutcome.STORED
    (arrival,) = desk.inbox.arrivals
    assert (arrival.bucket, arrival.key, arrival.source) == (BUCKET, f"{PREFIX}k1", source)
    assert arrival.envelope.recipients == ("thomas@example.com", "b@x.de")
    assert desk.polls == 0


async def test_an_event_brings_every_object(desk):
    assert (
        await desk.notify(s3_event("incoming/a%2Bb+c", "incoming%2Fd"))
        is NotificationOutcome.STORED
    )
    assert [arrival.key for arrival in desk.inbox.arrivals] == ["incoming/a+b c", "incoming/d"]


async def test_what_is_known_is_recorded_all_the_same(desk):
    """The second announcement may know the envelope that the first did not."""
    assert await desk.notify(s3_event("incoming/k1")) is NotificationOutcome.STORED
    assert await desk.notify(receipt("incoming/k1")) is NotificationOutcome.KNOWN
    assert len(desk.inbox.arrivals) == 2


async def test_a_test_event_stores_nothing(desk):
    assert await desk.notify(TEST_EVENT) is NotificationOutcome.TEST_EVENT
    assert desk.inbox.empty
    assert desk.log.events() == ["test event"]


async def test_ses_trying_out_a_rule_stores_nothing(desk):
    assert (
        await desk.notify(receipt("incoming/AMAZON_SES_SETUP_NOTIFICATION"))
        is NotificationOutcome.KNOWN
    )
    assert desk.inbox.empty


@pytest.mark.parametrize("message", ["hello", "{}", "[]", "", '{"Records": []}', "\x00" * 10])
async def test_what_is_true_but_not_understood_is_kept(desk, message):
    assert await desk.notify(message) is NotificationOutcome.NOT_UNDERSTOOD
    ((source, reason, text),) = desk.inbox.notifications
    assert source is Source.QUEUE
    assert reason
    assert text == message
    assert desk.inbox.arrivals == []
    assert desk.polls == 1


@pytest.mark.parametrize(
    "message",
    [
        receipt("incoming/k1", "another-bucket"),
        receipt("outgoing/k1"),
        receipt("incoming"),
        receipt("x/incoming/k1"),
        s3_event("incoming/k1", bucket="another-bucket"),
        s3_event("Incoming/k1"),
    ],
)
async def test_objects_elsewhere_are_no_arrivals(desk, message):
    assert await desk.notify(message) is NotificationOutcome.NOT_UNDERSTOOD
    assert desk.inbox.arrivals == []
    assert "outside our bucket" in desk.inbox.notifications[0][1]
    assert desk.polls == 1


async def test_ours_beside_a_foreign_one_is_taken(desk):
    assert (
        await desk.notify(s3_event("incoming/k1", "elsewhere/k2"))
        is NotificationOutcome.NOT_UNDERSTOOD
    )
    assert [arrival.key for arrival in desk.inbox.arrivals] == ["incoming/k1"]
    assert len(desk.inbox.notifications) == 1


@pytest.mark.parametrize("make", ["notification", "confirmation", "unsubscription"])
async def test_a_foreign_topic_is_refused_before_anything_is_fetched(desk, make):
    signer = Signer()
    signed = signer.notification("x") if make == "notification" else getattr(signer, make)()
    signed = signer.sign(
        **{k: v for k, v in signed.items() if k != "Signature"} | {"TopicArn": "t"}
    )
    with pytest.raises(ForgedError, match="topic"):
        await desk.take(signed)
    assert desk.keys.asked == []
    assert desk.inbox.empty
    assert desk.subscriber == MemorySubscriber()


@pytest.mark.parametrize("make", ["notification", "confirmation", "unsubscription"])
async def test_another_key_is_refused(desk, make):
    signer = Signer(key=private_key(1))
    signed = signer.notification("x") if make == "notification" else getattr(signer, make)()
    with pytest.raises(ForgedError, match="signature"):
        await desk.take(signed)
    assert desk.keys.asked == [AWS_URL]
    assert desk.inbox.empty
    assert desk.subscriber == MemorySubscriber()
    assert desk.log.said == []


async def test_a_ledger_in_trouble_is_passed_on(desk):
    desk.inbox.trouble = TryLaterError("The disk is full.")
    for message in (receipt(), s3_event("incoming/k"), "hello", receipt("elsewhere/k")):
        with pytest.raises(TryLaterError, match="disk"):
            await desk.notify(message)
    assert desk.polls == 0


async def test_a_confirmation_is_confirmed(desk):
    assert await desk.take(Signer().confirmation("abc")) is NotificationOutcome.CONFIRMED
    assert desk.subscriber.tokens == ["abc"]


async def test_a_confirmation_that_fails_for_now_is_passed_on(desk):
    desk.subscriber.trouble = MisconfiguredError("The credentials may not confirm.")
    with pytest.raises(MisconfiguredError):
        await desk.take(Signer().confirmation())
    assert desk.inbox.empty


async def test_a_stale_token_is_kept_for_status(desk):
    desk.subscriber.trouble = TokenError("The confirmation token is no longer valid.")
    assert await desk.take(Signer().confirmation()) is NotificationOutcome.NOT_UNDERSTOOD
    assert "token" in desk.inbox.notifications[0][1]


@pytest.mark.slow
async def test_what_was_kept_is_kept_once_however_often_it_is_sent_again(desk):
    desk.subscriber.trouble = TokenError("The confirmation token is no longer valid.")
    message = Signer().confirmation()
    for _ in range(1000):
        assert await desk.take(message) is NotificationOutcome.NOT_UNDERSTOOD
    assert len(desk.inbox.notifications) == 1
    assert len(desk.log.said) == 1
    desk.subscriber.trouble = None
    assert await desk.take(message) is NotificationOutcome.NOT_UNDERSTOOD


async def test_an_unsubscription_is_for_the_subscriber_and_not_followed(desk):
    assert await desk.take(Signer().unsubscription()) is NotificationOutcome.UNSUBSCRIBED
    assert desk.subscriber.ended == 1
    assert desk.subscriber.tokens == []


# What was sent in the webmail

SENT = sent_key("anna", "2026-11", "0" * 20)


async def test_what_was_sent_is_ours_where_there_is_a_webmail(desk):
    desk.notifications = replace(
        desk.notifications, place=OurTopic(TOPIC, BUCKET, PREFIX, takes_sent=True)
    )
    assert await desk.notify(s3_event(SENT)) is NotificationOutcome.STORED
    assert await desk.notify(s3_event("sent/J%25C3%25B6rg/x")) is NotificationOutcome.STORED
    assert [arrival.key for arrival in desk.inbox.arrivals] == [SENT, "sent/J%C3%B6rg/x"]
    for foreign in ("outbox/anna/1", "Sent/anna/1", "elsewhere/sent/1"):
        assert await desk.notify(s3_event(foreign)) is NotificationOutcome.NOT_UNDERSTOOD
    other = s3_event(SENT, bucket="other-bucket")
    assert await desk.notify(other) is NotificationOutcome.NOT_UNDERSTOOD
    assert len(desk.inbox.arrivals) == 2


async def test_no_receipt_is_for_what_was_sent(desk):
    desk.notifications = replace(
        desk.notifications, place=OurTopic(TOPIC, BUCKET, PREFIX, takes_sent=True)
    )
    assert await desk.notify(receipt(SENT)) is NotificationOutcome.NOT_UNDERSTOOD
    assert desk.inbox.arrivals == []


async def test_without_a_webmail_it_is_foreign(desk):
    assert await desk.notify(s3_event(SENT)) is NotificationOutcome.NOT_UNDERSTOOD
    assert desk.inbox.arrivals == []
