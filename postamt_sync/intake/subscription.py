"""Our own subscription to the topic: asked for at start, confirmed through the API.

The SubscribeURL of a confirmation is never visited. A signed ConfirmSubscription with
`AuthenticateOnUnsubscribe` makes the unsubscribe link in each notice worthless to strangers.
"""

from __future__ import annotations

import asyncio
import enum
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from postamt_sync.aws.errors import aws_call
from postamt_sync.backoff import growing_pause
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.threads import in_own_thread
from postamt_sync.unexpected import as_trouble

if TYPE_CHECKING:
    from types_boto3_sns.client import SNSClient

CONFIRMATION_SECONDS = 300.0
"""How long a confirmation may take to come before it is asked for again."""
REVIEW_SECONDS = 86400.0
"""How often a confirmed subscription is looked at: it can be deleted without a word to us."""
ANSWER_SECONDS = 8.0
"""SNS waits 15 s for our answer to its confirmation request."""
LONGEST_CALL = 45.0
"""Seconds for a call with all that it takes; an answer may come without an end."""
TOKENS_REMEMBERED = 16

DELIVERY_POLICY = {
    "healthyRetryPolicy": {
        "numRetries": 35,
        "numNoDelayRetries": 0,
        "minDelayTarget": 20,
        "numMinDelayRetries": 5,
        "maxDelayTarget": 120,
        "numMaxDelayRetries": 20,
        "backoffFunction": "linear",
    }
}
"""5 times 20 s, 10 rising to 120, 20 times 120: 3200 s of the 3600 that SNS allows."""

_T = TypeVar("_T")


def queue_arn(url: str, topic_arn: str) -> str:
    """Return the ARN of the queue at `url`, which lies in the topic's region (as SNS demands).

    A queue's URL ends in account and name, at AWS and at emulators.
    """
    _, partition, _, region, *_ = topic_arn.split(":")
    account, name = url.rstrip("/").split("/")[-2:]
    return f"arn:{partition}:sqs:{region}:{account}:{name}"


class SubscriptionState(enum.StrEnum):
    """How our subscription stands."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    """The last attempt failed; another follows."""
    UNSUBSCRIBED = "unsubscribed"
    """Somebody ended it; only a restart subscribes again."""


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """What status shows; `since` in seconds since 1970, `arn` empty while unknown."""

    state: SubscriptionState
    reason: str
    arn: str
    since: float


class Subscription:
    """Keeps `url` subscribed to the topic. Blocking calls of `client` run in threads.

    Give the client short timeouts and one attempt (botocore's Config): a stop waits for the call
    that is under way.
    """

    def __init__(
        self,
        client: SNSClient,
        events: Events,
        *,
        topic_arn: str,
        url: str,
        dead_letter_arn: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._events = events
        self._topic_arn = topic_arn
        self._url = url
        self._attributes = {"DeliveryPolicy": json.dumps(DELIVERY_POLICY)}
        if dead_letter_arn:
            redrive = {"deadLetterTargetArn": dead_letter_arn}
            self._attributes["RedrivePolicy"] = json.dumps(redrive)
        self._sleep = sleep
        self._status = SubscriptionStatus(
            SubscriptionState.PENDING, "not asked for yet", "", time.time()
        )
        self._changed = asyncio.Event()
        self._confirmed: dict[str, None] = {}
        self._confirming: dict[str, asyncio.Task[None]] = {}

    @property
    def status(self) -> SubscriptionStatus:
        return self._status

    async def run(self) -> None:
        """Subscribe, and see to it for as long as the daemon runs; ends when unsubscribed."""
        failures = 0
        while self._status.state is not SubscriptionState.UNSUBSCRIBED:
            self._changed.clear()
            try:
                await self._look_after()
            except Exception as error:  # noqa: BLE001  whatever answered, it is asked again
                trouble = as_trouble(error)
                seconds = growing_pause(failures)
                failures += 1
                self._stand(SubscriptionState.FAILED, str(trouble))
                self._events.subscribe_failed(str(trouble), seconds)
            else:
                failures = 0
                confirmed = self._status.state is SubscriptionState.CONFIRMED
                seconds = REVIEW_SECONDS if confirmed else CONFIRMATION_SECONDS
            await self._wait(seconds)

    async def confirm(self, token: str) -> None:
        """Confirm with a token that came in a true message for our topic.

        A token is confirmed once however often it comes. Raises TryLaterError if AWS does not
        answer within some seconds (the call goes on, and the next try finds it done), TokenError
        if the token is no longer good.
        """
        if token in self._confirmed:
            return
        task = self._confirming.get(token)
        if task is None:
            task = asyncio.create_task(self._confirm(token), name="confirm subscription")
            self._confirming[token] = task
            task.add_done_callback(lambda done: self._confirm_ended(token, done))
        await self._race(task, ANSWER_SECONDS)
        if not task.done():
            raise TryLaterError(
                "AWS is slow to confirm our subscription.", "It is tried again by itself."
            )
        try:
            task.result()
        except Exception as error:
            raise as_trouble(error) from error

    def unsubscribed(self) -> None:
        """Somebody ended the subscription; we do not undo it while we run."""
        self._stand(SubscriptionState.UNSUBSCRIBED, "somebody unsubscribed the webhook")
        self._changed.set()

    async def close(self) -> None:
        """Break off what waits for AWS."""
        tasks = list(self._confirming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_after(self) -> None:
        arn = await self._subscribe()
        actual = await self._call(
            "read our subscription",
            lambda: self._client.get_subscription_attributes(SubscriptionArn=arn)["Attributes"],
        )
        if self._status.state is SubscriptionState.UNSUBSCRIBED:
            return
        if actual.get("PendingConfirmation") == "true":
            self._stand(SubscriptionState.PENDING, "waiting for SNS to ask for confirmation", arn)
            return
        await self._mend(arn, actual)
        if self._status.state is not SubscriptionState.CONFIRMED:
            self._events.subscribed(arn)
        self._stand(SubscriptionState.CONFIRMED, "", arn)

    async def _subscribe(self) -> str:
        self._events.subscribing(self._url, self._topic_arn)

        def subscribe(attributes: dict[str, str]) -> str:
            return self._client.subscribe(
                TopicArn=self._topic_arn,
                Protocol="https" if self._url.startswith("https:") else "http",
                Endpoint=self._url,
                Attributes=attributes,
                ReturnSubscriptionArn=True,
            )["SubscriptionArn"]

        def subscribe_or_find() -> str:
            try:
                return subscribe(self._attributes)
            except ClientError as error:
                if "different attributes" not in str(error):
                    raise
                # It is there with others, from before: `_mend` sets them.
                return subscribe({})

        return await self._call("subscribe the webhook", subscribe_or_find)

    async def _mend(self, arn: str, actual: dict[str, str]) -> None:
        for name, wanted in self._attributes.items():
            if _covers(_json(actual.get(name, "")), json.loads(wanted)):
                continue

            def mend(name: str = name, wanted: str = wanted) -> None:
                self._client.set_subscription_attributes(
                    SubscriptionArn=arn, AttributeName=name, AttributeValue=wanted
                )

            await self._call(f"set the {name} of our subscription", mend)

    async def _confirm(self, token: str) -> None:
        answer = await self._call(
            "confirm our subscription",
            lambda: self._client.confirm_subscription(
                TopicArn=self._topic_arn, Token=token, AuthenticateOnUnsubscribe="true"
            ),
        )
        while len(self._confirmed) >= TOKENS_REMEMBERED:
            del self._confirmed[next(iter(self._confirmed))]
        self._confirmed[token] = None
        arn = answer["SubscriptionArn"]
        self._events.subscribed(arn)
        self._stand(SubscriptionState.CONFIRMED, "", arn)
        self._changed.set()

    def _confirm_ended(self, token: str, task: asyncio.Task[None]) -> None:
        del self._confirming[token]
        if not task.cancelled():
            task.exception()  # Retrieved here too: nobody may be waiting any more.

    def _stand(self, state: SubscriptionState, reason: str, arn: str = "") -> None:
        self._status = SubscriptionStatus(state, reason, arn or self._status.arn, time.time())

    async def _wait(self, seconds: float) -> None:
        """Sleep, but wake when the subscription was confirmed or ended."""
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await self._race(changed, seconds)
        finally:
            changed.cancel()

    async def _race(self, future: asyncio.Future[Any], seconds: float) -> None:
        """Wait for the future or the clock; the future goes on in any case."""
        nap = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait([future, nap], return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()

    async def _call(self, what: str, call: Callable[[], _T]) -> _T:
        with aws_call(what):
            return await in_own_thread(call, LONGEST_CALL)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _covers(actual: Any, wanted: Any) -> bool:
    """Whether `actual` says all that `wanted` says; AWS adds members of its own."""
    if isinstance(wanted, dict):
        return isinstance(actual, dict) and all(
            _covers(actual.get(name), value) for name, value in wanted.items()
        )
    return bool(actual == wanted)
