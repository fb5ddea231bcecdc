"""Our own subscription: asked for, confirmed, mended, and never given up."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from postamt_sync.aws.errors import TokenError
from postamt_sync.backoff import FIRST_SECONDS, LONGEST_SECONDS
from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.intake.sns import DELIVERY_POLICY
from postamt_sync.intake.subscription import (
    ANSWER_SECONDS,
    ASKED_AGAIN_AFTER,
    CONFIRMATION_SECONDS,
    DOUBTED_TWICE_AFTER,
    REVIEW_SECONDS,
    TOKENS_REMEMBERED,
    Subscription,
    SubscriptionState,
    queue_arn,
)
from tests.doubles.inbox import MemoryLog
from tests.doubles.scene import until
from tests.doubles.sns import TOPIC
from tests.doubles.topic import Topic, client_error

URL = "https://home.example.com:8443/sns"
DEAD = "arn:aws:sqs:eu-west-1:123456789012:postamt-dead"


class Clock:
    """Time that passes when the test says so."""

    def __init__(self):
        self.asked = []
        self.naps = asyncio.Queue()

    async def sleep(self, seconds):
        self.asked.append(seconds)
        nap = asyncio.Event()
        self.naps.put_nowait(nap)
        await nap.wait()

    async def pass_on(self):
        (await self.naps.get()).set()

    async def asleep(self, times):
        while len(self.asked) < times:
            await asyncio.sleep(0.002)


class Desk:
    def __init__(self, topic, clock, url=URL, **more):
        self.topic, self.clock, self.log, self.now = topic, clock, MemoryLog(), 0.0
        self.subscription = Subscription(
            topic,
            Events(self.log),
            topic_arn=TOPIC,
            url=url,
            sleep=clock.sleep,
            clock=lambda: self.now,
            **more,
        )

    @property
    def state(self):
        return self.subscription.status.state


@asynccontextmanager
async def running(topic=None, **more):
    desk = Desk(topic or Topic(), Clock(), **more)
    run = asyncio.create_task(desk.subscription.run())
    try:
        yield desk
    finally:
        desk.topic.gate.set()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
        await desk.subscription.close()


async def test_it_subscribes_and_waits_for_the_confirmation():
    async with running(dead_letter_arn=DEAD) as desk:
        assert desk.state is SubscriptionState.PENDING
        await desk.clock.asleep(1)
        name, request = desk.topic.calls[0]
        assert name == "subscribe"
        assert request["TopicArn"] == TOPIC
        assert (request["Protocol"], request["Endpoint"]) == ("https", URL)
        assert request["ReturnSubscriptionArn"] is True
        assert json.loads(request["Attributes"]["DeliveryPolicy"]) == DELIVERY_POLICY
        assert json.loads(request["Attributes"]["RedrivePolicy"]) == {"deadLetterTargetArn": DEAD}
        assert desk.state is SubscriptionState.PENDING
        assert desk.subscription.status.arn == desk.topic.arn
        assert desk.clock.asked == [CONFIRMATION_SECONDS]


async def test_without_dead_letters_there_is_no_redrive_policy():
    async with running() as desk:
        await desk.clock.asleep(1)
        assert set(desk.topic.calls[0][1]["Attributes"]) == {"DeliveryPolicy"}


async def test_plain_http_behind_a_proxy_that_speaks_none_either():
    async with running(url="http://127.0.0.1:1/sns") as desk:
        await desk.clock.asleep(1)
        assert desk.topic.calls[0][1]["Protocol"] == "http"


def test_the_delivery_policy_fits_the_hour_that_sns_allows():
    policy = DELIVERY_POLICY["healthyRetryPolicy"]
    low, high = policy["minDelayTarget"], policy["maxDelayTarget"]
    rising = policy["numRetries"] - policy["numMinDelayRetries"] - policy["numMaxDelayRetries"]
    total = policy["numMinDelayRetries"] * low + policy["numMaxDelayRetries"] * high
    total += rising * (low + high) / 2
    assert 3000 <= total <= 3600


async def test_the_confirmation_goes_through_the_api():
    async with running() as desk:
        await desk.clock.asleep(1)
        await desk.subscription.confirm("t0k3n")
        assert ("confirm_subscription", {
            "TopicArn": TOPIC, "Token": "t0k3n", "AuthenticateOnUnsubscribe": "true",
        }) in desk.topic.calls  # fmt: skip
        assert desk.state is SubscriptionState.CONFIRMED
        await desk.clock.asleep(3)
        assert desk.state is SubscriptionState.CONFIRMED
        assert desk.clock.asked == [CONFIRMATION_SECONDS, ANSWER_SECONDS, REVIEW_SECONDS]
        assert desk.log.events().count("subscription confirmed") == 1


async def test_without_a_confirmation_it_asks_again():
    async with running() as desk:
        await desk.clock.asleep(1)
        await desk.clock.pass_on()
        await desk.clock.asleep(2)
        assert desk.topic.count("subscribe") == 2


async def test_a_confirmed_subscription_is_looked_at_now_and_then():
    topic = Topic(pending=False)
    async with running(topic) as desk:
        await desk.clock.asleep(1)
        assert desk.state is SubscriptionState.CONFIRMED
        assert desk.clock.asked == [REVIEW_SECONDS]
        topic.attributes, topic.pending = None, True
        await desk.clock.pass_on()
        await desk.clock.asleep(2)
        assert desk.state is SubscriptionState.PENDING


async def test_other_attributes_are_fixed():
    topic = Topic(pending=False, attributes={"DeliveryPolicy": "{}"})
    async with running(topic, dead_letter_arn=DEAD) as desk:
        await desk.clock.asleep(1)
        assert desk.state is SubscriptionState.CONFIRMED
        assert json.loads(topic.attributes["DeliveryPolicy"]) == DELIVERY_POLICY
        assert json.loads(topic.attributes["RedrivePolicy"]) == {"deadLetterTargetArn": DEAD}


async def test_whatever_sns_says_of_other_attributes_they_are_fixed():
    worded_anew = client_error("InvalidParameter", "Another sentence, written another day")
    topic = Topic(pending=False, attributes={"DeliveryPolicy": "{}"}, incidents=[worded_anew])
    async with running(topic, dead_letter_arn=DEAD) as desk:
        await desk.clock.asleep(1)
        assert desk.state is SubscriptionState.CONFIRMED
        assert json.loads(topic.attributes["RedrivePolicy"]) == {"deadLetterTargetArn": DEAD}


async def test_what_sns_refuses_without_attributes_too_is_a_failure():
    refusals = [client_error("InvalidParameter", text) for text in ("first", "second")]
    topic = Topic(incidents=refusals)
    async with running(topic) as desk:
        await desk.clock.asleep(1)
        assert desk.state is SubscriptionState.FAILED
        assert "second" in desk.subscription.status.reason
        assert topic.count("subscribe") == 2


async def test_what_is_refused_for_another_reason_is_not_asked_again_at_once():
    topic = Topic(incidents=[client_error("AuthorizationError", "not authorized")])
    async with running(topic) as desk:
        await desk.clock.asleep(1)
        assert desk.state is SubscriptionState.FAILED
        assert topic.count("subscribe") == 1


async def test_what_aws_adds_to_a_policy_is_no_difference():
    wider = {"healthyRetryPolicy": DELIVERY_POLICY["healthyRetryPolicy"] | {"x": None}}
    topic = Topic(pending=False, attributes={"DeliveryPolicy": json.dumps(wider | {"y": None})})
    async with running(topic) as desk:
        await desk.clock.asleep(1)
        assert topic.count("set_subscription_attributes") == 0
        assert desk.state is SubscriptionState.CONFIRMED


async def test_other_attributes_wait_for_the_confirmation():
    topic = Topic(attributes={"DeliveryPolicy": "{}"})
    async with running(topic) as desk:
        await desk.clock.asleep(1)
        assert topic.count("set_subscription_attributes") == 0
        await desk.subscription.confirm("t")
        await desk.clock.asleep(3)
        assert json.loads(topic.attributes["DeliveryPolicy"]) == DELIVERY_POLICY


async def test_failures_are_tried_again_with_growing_pauses():
    topic = Topic(incidents=[client_error("AuthorizationError", "not authorized")] * 12)
    async with running(topic) as desk:
        for _ in range(12):
            await desk.clock.pass_on()
        await desk.clock.asleep(13)
        pauses = desk.clock.asked[:12]
        wanted = [min(FIRST_SECONDS * 2**n, LONGEST_SECONDS) for n in range(12)]
        assert all(0.8 * w <= p <= w for w, p in zip(wanted, pauses, strict=True))
        assert desk.log.events("warning") == ["subscription not confirmed, will try again"] * 12
        assert desk.state is SubscriptionState.PENDING


async def test_a_failure_is_told_in_status():
    topic = Topic(incidents=[client_error("AuthorizationError", "User\n may not")])
    async with running(topic) as desk:
        await desk.clock.asleep(1)
        assert desk.state is SubscriptionState.FAILED
        assert "may not subscribe the webhook" in desk.subscription.status.reason
        assert "\n" not in desk.subscription.status.reason


async def test_an_unsubscription_that_sns_knows_of_ends_it():
    async with running(Topic(pending=False)) as desk:
        await desk.clock.asleep(1)
        desk.topic.attributes = None
        desk.subscription.unsubscribed()
        await until(lambda: desk.state is SubscriptionState.UNSUBSCRIBED)
        await asyncio.sleep(0.02)
        assert desk.topic.count("subscribe") == 1, "whoever ended it had the right to"
        assert len(desk.log.events("error")) == 1


async def test_an_old_unsubscription_that_is_sent_again_ends_nothing():
    async with running(Topic(pending=False)) as desk:
        await desk.clock.asleep(1)
        for _ in range(100):
            desk.subscription.unsubscribed()
        await desk.clock.asleep(2)
        assert desk.clock.asked == [REVIEW_SECONDS, DOUBTED_TWICE_AFTER]
        assert desk.state is SubscriptionState.CONFIRMED
        assert desk.topic.count("get_subscription_attributes") == 2, "SNS is asked, once for all"
        await desk.clock.pass_on()
        await desk.clock.pass_on()
        await desk.clock.asleep(3)
        assert desk.clock.asked[-1] == REVIEW_SECONDS
        assert desk.state is SubscriptionState.CONFIRMED
        assert desk.log.events("error") == []


async def test_what_one_server_of_sns_does_not_know_yet_another_tells_later():
    async with running(Topic(pending=False)) as desk:
        await desk.clock.asleep(1)
        desk.subscription.unsubscribed()
        await desk.clock.asleep(2)
        desk.topic.attributes = None
        await desk.clock.pass_on()
        await desk.clock.pass_on()
        await until(lambda: desk.state is SubscriptionState.UNSUBSCRIBED)
        assert desk.topic.count("subscribe") == 1


async def test_while_sns_cannot_be_asked_it_is_asked_again_and_nothing_subscribed():
    async with running(Topic(pending=False)) as desk:
        await desk.clock.asleep(1)
        desk.topic.incidents = [client_error("InternalError")] * 2
        desk.subscription.unsubscribed()
        await desk.clock.asleep(2)
        assert desk.state is SubscriptionState.FAILED
        desk.topic.attributes = None
        for _ in range(3):
            await desk.clock.pass_on()
        await until(lambda: desk.state is SubscriptionState.UNSUBSCRIBED)
        assert desk.topic.count("subscribe") == 1


async def test_an_unsubscription_before_there_is_one_of_ours_ends_nothing():
    topic = Topic(pending=False)
    topic.gate.clear()
    async with running(topic) as desk:
        await until(lambda: topic.calls)
        desk.subscription.unsubscribed()
        topic.gate.set()
        await until(lambda: desk.state is SubscriptionState.CONFIRMED)


# Confirming


@pytest.fixture
async def desk():
    made = Desk(Topic(attributes={}), Clock())
    yield made
    made.topic.gate.set()
    await made.subscription.close()


async def test_a_token_is_confirmed_once(desk):
    await asyncio.gather(*(desk.subscription.confirm("t") for _ in range(5)))
    await desk.subscription.confirm("t")
    assert desk.topic.count("confirm_subscription") == 1


async def test_only_so_many_tokens_are_remembered(desk):
    for number in range(TOKENS_REMEMBERED + 1):
        await desk.subscription.confirm(str(number))
        desk.now += 60
    await desk.subscription.confirm("0")
    assert desk.topic.count("confirm_subscription") == TOKENS_REMEMBERED + 2


async def test_a_failed_confirmation_can_be_tried_again(desk):
    desk.topic.incidents = [EndpointConnectionError(endpoint_url="https://sns")]
    for _ in range(5):
        with pytest.raises(TryLaterError, match="could not be reached"):
            await desk.subscription.confirm("t")
    assert desk.topic.count("confirm_subscription") == 1, "it is not asked in vain at once"
    desk.now += ASKED_AGAIN_AFTER
    await desk.subscription.confirm("t")
    assert desk.state is SubscriptionState.CONFIRMED


async def test_a_stale_token_is_final(desk):
    with pytest.raises(TokenError) as caught:
        await desk.subscription.confirm("stale")
    assert not caught.value.temporary


async def test_missing_rights_are_temporary(desk):
    desk.topic.incidents = [client_error("AccessDenied")]
    with pytest.raises(MisconfiguredError) as caught:
        await desk.subscription.confirm("t")
    assert caught.value.temporary


async def test_a_slow_confirmation_goes_on_behind_the_answer(desk):
    desk.topic.gate.clear()
    answering = asyncio.create_task(desk.subscription.confirm("t"))
    await desk.clock.pass_on()
    with pytest.raises(TryLaterError, match="slow"):
        await answering
    assert desk.clock.asked == [ANSWER_SECONDS]
    desk.topic.gate.set()
    while desk.state is not SubscriptionState.CONFIRMED:
        await asyncio.sleep(0.002)
    await desk.subscription.confirm("t")
    assert desk.topic.count("confirm_subscription") == 1


async def test_what_we_ask_for_is_what_the_api_knows():
    client = boto3.client(
        "sns", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    arn = f"{TOPIC}:0123"
    with Stubber(client) as stub:
        stub.add_response("subscribe", {"SubscriptionArn": arn})
        stub.add_response(
            "get_subscription_attributes", {"Attributes": {"PendingConfirmation": "false"}}
        )
        stub.add_response("set_subscription_attributes", {})
        stub.add_response("set_subscription_attributes", {})
        stub.add_response("confirm_subscription", {"SubscriptionArn": arn})
        desk = Desk(client, Clock(), dead_letter_arn=DEAD)
        run = asyncio.create_task(desk.subscription.run())
        await desk.clock.asleep(1)
        await desk.subscription.confirm("t")
        stub.assert_no_pending_responses()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    assert desk.subscription.status.arn == arn


@pytest.mark.parametrize(
    "url",
    [
        "https://sqs.eu-west-1.amazonaws.com/123456789012/postamt-dead",
        "http://localhost:5000/123456789012/postamt-dead",
        "http://sqs.eu-west-1.localhost:4566/queue/123456789012/postamt-dead/",
    ],
)
def test_the_arn_of_a_queue_follows_from_its_url(url):
    assert queue_arn(url, TOPIC) == DEAD
