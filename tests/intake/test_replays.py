"""Truly signed messages of SNS's, old and new, sent again by whoever kept them: by webhook, queue
and dead letters, in any order, hundreds of times. What the daemon believes of its subscription is
what SNS says when it is asked, and it is not asked as often as a stranger wishes.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.intake.notifications import Notifications, OurTopic
from postamt_sync.intake.queues import NullSubscriber
from postamt_sync.intake.sns_message import MalformedError, read_message
from postamt_sync.intake.subscription import (
    CONFIRMATIONS_PER_MINUTE,
    DOUBTED_TWICE_AFTER,
    TOKENS_REMEMBERED,
    Subscription,
    SubscriptionState,
)
from postamt_sync.mail.arrival import Source
from tests.doubles.inbox import MemoryInbox, MemoryLog, OneKey
from tests.doubles.scene import until
from tests.doubles.sns import BUCKET, PREFIX, TOPIC, Signer, body, private_key, receipt, s3_event
from tests.doubles.sns_account import SnsAccount
from tests.intake.test_subscription import URL, Clock

OTHERS = "https://elsewhere.example.net/sns"
ELSEWHERE = "arn:aws:sns:eu-west-1:999999999999:theirs"
SOURCES = (Source.WEBHOOK, Source.QUEUE, Source.DEAD_LETTER)


class House:
    """The three ways in, one ledger, and the subscription, before an SNS in memory."""

    def __init__(self) -> None:
        self.sns, self.naps, self.now = SnsAccount(), Clock(), 1000.0
        self.log, self.inbox, self.polls = MemoryLog(), MemoryInbox(), 0
        client: Any = self.sns
        self.subscription = Subscription(
            client,
            Events(self.log),
            topic_arn=TOPIC,
            url=URL,
            sleep=self.naps.sleep,
            clock=lambda: self.now,
        )
        queue = NullSubscriber(TOPIC, Events(self.log), self.subscription.unsubscribed)
        self._ways = {
            source: Notifications(
                place=OurTopic(TOPIC, BUCKET, PREFIX),
                keys=OneKey(private_key().public_key()),
                inbox=self.inbox,
                subscriber=self.subscription if source is Source.WEBHOOK else queue,
                poll_soon=self.poll_soon,
                events=Events(self.log),
            )
            for source in SOURCES
        }

    def poll_soon(self) -> None:
        self.polls += 1

    @property
    def state(self) -> SubscriptionState:
        return self.subscription.status.state

    async def take(self, message: dict[str, Any], source: Source) -> None:
        """As webhook and queues do: what is refused or fails is left to whoever sent it."""
        with suppress(PostamtError):
            await self._ways[source].take(read_message(body(message)), source)

    async def asked(self) -> None:
        """Let pass whatever the subscription waits for, until it has asked all that it has to."""
        for _ in range(4):
            await at_rest()
            self.now += DOUBTED_TWICE_AFTER
            while not self.naps.naps.empty():
                self.naps.naps.get_nowait().set()
        await at_rest()

    def kept(self) -> list[dict[str, Any]]:
        """Return what someone has kept over the years, of ours and of others."""
        signer, old = Signer(), self.sns.make("https://old.example.com/sns")
        theirs = self.sns.make(OTHERS)
        tokens = [self.sns.token(one) for one in (old, theirs)] + ["expired", "never was"]
        self.sns.end(old.endpoint)
        messages = [
            *(signer.confirmation(token) for token in tokens),
            *(signer.confirmation(token, Type="UnsubscribeConfirmation") for token in tokens),
            signer.confirmation("theirs", TopicArn=ELSEWHERE),
            signer.confirmation("theirs", TopicArn=ELSEWHERE, Type="UnsubscribeConfirmation"),
            signer.notification(receipt(f"{PREFIX}known")),
            signer.notification(s3_event(f"{PREFIX}known")),
            signer.notification(s3_event("elsewhere/known")),
            signer.notification("no JSON"),
            signer.notification(receipt(), TopicArn=ELSEWHERE),
        ]
        return [m | {"Timestamp": m["Timestamp"]} for m in messages]


async def at_rest() -> None:
    """Wait until nobody asks SNS, and has not begun to for some turns of the loop."""
    turns = 0
    while turns < 20:
        asking = any(thread.name == "own thread" for thread in threading.enumerate())
        turns = 0 if asking else turns + 1
        await asyncio.sleep(0.001)


async def running(house: House, deed: Callable[[], Awaitable[None]]) -> None:
    run = asyncio.create_task(house.subscription.run())
    try:
        await deed()
    finally:
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await house.subscription.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_what_it_believes_is_what_sns_says(seed: int) -> None:
    house, chance = House(), random.Random(seed)
    kept = house.kept()

    async def replay(count: int) -> None:
        for _ in range(count):
            await house.take(chance.choice(kept), chance.choice(SOURCES))

    async def live() -> None:
        await until(lambda: house.sns.find(URL) is not None)
        ours = house.sns.find(URL)
        assert ours is not None
        await replay(100)
        assert house.state is SubscriptionState.PENDING, "nobody else's token confirms ours"
        token = house.sns.token(ours)
        kept.append(Signer().confirmation(token))
        await house.take(kept[-1], Source.WEBHOOK)
        await house.asked()
        assert house.state is SubscriptionState.CONFIRMED
        await replay(200)
        await house.asked()
        assert house.state is SubscriptionState.CONFIRMED
        assert house.subscription.status.arn == ours.arn
        house.sns.end(URL)
        await house.take(
            Signer().confirmation(token, Type="UnsubscribeConfirmation"), chance.choice(SOURCES)
        )
        await house.asked()
        assert house.state is SubscriptionState.UNSUBSCRIBED
        asked = house.sns.calls.total()
        await replay(200)
        await house.asked()
        assert house.state is SubscriptionState.UNSUBSCRIBED, "only SNS can say otherwise"
        assert house.sns.find(URL) is None
        assert house.sns.calls.total() - asked <= CONFIRMATIONS_PER_MINUTE
        again = house.sns.make(URL)  # a person has thought better of it
        await house.take(Signer().confirmation(house.sns.token(again)), Source.WEBHOOK)
        await house.asked()
        assert house.state is SubscriptionState.CONFIRMED
        assert house.subscription.status.arn == again.arn

    await running(house, live)
    assert [a.key for a in house.inbox.arrivals if not a.key.startswith(PREFIX)] == []


@pytest.mark.slow
async def test_sns_is_not_asked_as_often_as_a_stranger_wishes() -> None:
    house = House()
    kept = house.kept()

    async def live() -> None:
        await until(lambda: house.sns.find(URL) is not None)
        ours = house.sns.find(URL)
        assert ours is not None
        ours.pending = False
        await house.asked()
        before = house.sns.calls.copy()
        for _ in range(300):
            for message in kept:
                await house.take(message, Source.WEBHOOK)
        calls = house.sns.calls - before
        assert calls["confirm_subscription"] <= CONFIRMATIONS_PER_MINUTE
        assert calls["get_subscription_attributes"] <= 2 + CONFIRMATIONS_PER_MINUTE
        assert calls["subscribe"] <= 1
        assert house.polls <= len(kept)
        assert len(house.inbox.notifications) <= len(kept)

    await running(house, live)


async def test_tokens_of_years_are_no_way_to_ask_aws_without_an_end() -> None:
    house = House()

    async def live() -> None:
        await until(lambda: house.sns.find(URL) is not None)
        old = [Signer().confirmation(f"old-{n}") for n in range(4 * TOKENS_REMEMBERED)]
        for _ in range(5):
            for message in old:
                await house.take(message, Source.WEBHOOK)
        assert house.sns.calls["confirm_subscription"] <= CONFIRMATIONS_PER_MINUTE
        house.now += 60
        ours = house.sns.find(URL)
        assert ours is not None
        await house.take(Signer().confirmation(house.sns.token(ours)), Source.WEBHOOK)
        assert house.state is SubscriptionState.CONFIRMED, "a minute later ours is heard"

    await running(house, live)


@pytest.mark.parametrize("kind", ["SubscriptionConfirmed", "notification", "", "Notification "])
def test_a_type_that_nobody_knows_is_no_message(kind: str) -> None:
    with pytest.raises(MalformedError):
        read_message(body(Signer().confirmation(Type=kind)))
