"""Our own subscription to the topic, requested at start and confirmed through the API.

The SubscribeURL of a confirmation is never visited. A signed ConfirmSubscription with
`AuthenticateOnUnsubscribe` makes the unsubscribe link in notifications useless to strangers.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from postamt_sync.awaiting import contained
from postamt_sync.backoff import growing_pause
from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.intake.sns import Sns
from postamt_sync.throttle import Allowance
from postamt_sync.unexpected import as_trouble

if TYPE_CHECKING:
    from types_boto3_sns.client import SNSClient

CONFIRMATION_SECONDS = 300.0
"""Seconds to wait for SNS's confirmation request before subscribing again."""
REVIEW_SECONDS = 86400.0
"""Seconds between looks at a confirmed subscription: it can be deleted without notice."""
ANSWER_SECONDS = 8.0
"""Seconds for our answer to a confirmation request; SNS waits 15 s."""
TOKENS_REMEMBERED = 16
"""How many tokens are remembered as confirmed, and as refused."""
ASKED_AGAIN_AFTER = 10.0
"""Seconds after which SNS is asked again about a token that it refused."""
CONFIRMATIONS_PER_MINUTE = 12.0
"""How often SNS is asked about tokens, even if somebody keeps sending old confirmations."""
DOUBTED_TWICE_AFTER = 60.0
"""Seconds after which SNS is asked again whether our subscription is gone: one of its servers may
not know yet what another one knows."""

_T = TypeVar("_T")


def queue_arn(url: str, topic_arn: str) -> str:
    """Return the ARN of the queue at `url`, which is in the topic's region, as SNS demands.

    The URL of a queue ends in account and name, both at AWS and at emulators.
    """
    _, partition, _, region, *_ = topic_arn.split(":")
    account, name = url.rstrip("/").split("/")[-2:]
    return f"arn:{partition}:sqs:{region}:{account}:{name}"


class SubscriptionState(enum.StrEnum):
    """The state of our subscription."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    """The last attempt failed; another follows."""
    UNSUBSCRIBED = "unsubscribed"
    """SNS says that someone ended it. Only a restart, or a person at SNS, subscribes again."""


@dataclass(frozen=True, slots=True)
class SubscriptionStatus:
    """What `status` shows. `since` is in seconds since 1970, `arn` "" while it is not known."""

    state: SubscriptionState
    reason: str
    arn: str
    since: float


class Subscription:
    """Keeps `url` subscribed to the topic.

    The client should have short timeouts and make one attempt (botocore's Config).
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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sns = Sns(client, topic_arn, url, dead_letter_arn)
        self._events = events
        self._topic_arn = topic_arn
        self._url = url
        self._sleep = sleep
        self._status = SubscriptionStatus(
            SubscriptionState.PENDING, "not asked for yet", "", time.time()
        )
        self.status_changed = asyncio.Event()
        """Set when `status` has changed. Whoever waits for it clears it."""
        self._changed = asyncio.Event()
        self._doubts = 0
        """How often SNS is still to be asked whether the subscription exists."""
        self._clock = clock
        self._asking = Allowance(CONFIRMATIONS_PER_MINUTE, clock)
        self._confirmed: dict[str, None] = {}
        self._refused: dict[str, tuple[float, PostamtError]] = {}
        """The tokens that SNS refused: when, and why."""
        self._confirming: dict[str, asyncio.Task[None]] = {}

    @property
    def status(self) -> SubscriptionStatus:
        return self._status

    async def run(self) -> None:
        """Subscribe, and stay subscribed until cancelled, unless someone ends the subscription."""
        failures = 0
        while True:
            if self._status.state is SubscriptionState.UNSUBSCRIBED:
                await self._changed.wait()
            self._changed.clear()
            try:
                await (self._prove() if self._doubts else self._look_after())
            except Exception as error:  # noqa: BLE001  whatever it answers, it is asked again
                trouble = as_trouble(error)
                seconds = growing_pause(failures)
                failures += 1
                self._stand(SubscriptionState.FAILED, str(trouble))
                self._events.subscribe_failed(str(trouble), seconds)
            else:
                failures = 0
                confirmed = self._status.state is SubscriptionState.CONFIRMED
                seconds = REVIEW_SECONDS if confirmed else CONFIRMATION_SECONDS
                seconds = DOUBTED_TWICE_AFTER if self._doubts else seconds
            await self._wait(seconds)

    async def confirm(self, token: str) -> None:
        """Confirm with a token from a genuine message for our topic.

        A token is confirmed once, however often it comes, and AWS is not asked too often. Raises
        TryLaterError if AWS does not answer within a few seconds (the call goes on, and the next
        try finds it done), and TokenError if the token is no longer valid.
        """
        if token in self._confirmed:
            return
        task = self._confirming.get(token)
        if task is None:
            self._spare_aws(token)
            task = asyncio.create_task(self._confirm(token), name="confirm subscription")
            self._confirming[token] = task
            task.add_done_callback(lambda done: self._confirm_ended(token, done))
        await self._race(task, ANSWER_SECONDS)
        if not task.done():
            raise TryLaterError(
                "AWS is slow to confirm our subscription.", "We will try again by ourselves."
            )
        try:
            task.result()
        except Exception as error:
            raise as_trouble(error) from error

    def unsubscribed(self) -> None:
        """Have SNS asked whether the subscription that ended, by a genuine message, was ours.

        A stranger may have sent an old message again, or it is about another subscription. If ours
        is gone, we do not undo that while we run.
        """
        if not self._doubts and self._status.state is not SubscriptionState.UNSUBSCRIBED:
            self._doubts = 2
            self._changed.set()

    async def close(self) -> None:
        """Cancel what waits for AWS."""
        tasks = list(self._confirming.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _prove(self) -> None:
        """Stand down if SNS says that our subscription is gone, and only then.

        While we do not know its ARN, it is still being created and cannot have been ended.
        """
        arn = self._status.arn
        if arn and not await self._sns.is_there(arn):
            self._doubts = 0
            self._stand(SubscriptionState.UNSUBSCRIBED, "someone unsubscribed the webhook")
            self._events.unsubscribed(self._topic_arn)
            return
        self._doubts = self._doubts - 1 if arn else 0
        if not self._doubts:  # until then, subscribing could undo what SNS is still carrying out
            await self._look_after()

    async def _look_after(self) -> None:
        self._events.subscribing(self._url, self._topic_arn)
        arn = await self._sns.subscribe()
        actual = await self._sns.attributes(arn)
        if self._status.state is SubscriptionState.UNSUBSCRIBED:
            return
        if actual.get("PendingConfirmation") == "true":
            self._stand(SubscriptionState.PENDING, "waiting for SNS to ask for confirmation", arn)
            return
        await self._sns.correct(arn, actual)
        if self._status.state is not SubscriptionState.CONFIRMED:
            self._events.subscribed(arn)
        self._stand(SubscriptionState.CONFIRMED, "", arn)

    def _spare_aws(self, token: str) -> None:
        """Raise SNS's last refusal of this token if it is recent, or if SNS was asked too often."""
        asked, why = self._refused.get(token, (0.0, None))
        if why is not None and self._clock() - asked < ASKED_AGAIN_AFTER:
            raise why
        if not self._asking.spend():
            raise TryLaterError(
                "SNS was asked to confirm our subscription too often.", "We will try again later."
            )

    async def _confirm(self, token: str) -> None:
        try:
            arn = await contained(self._sns.confirm(token))
            if arn != self._status.arn and not await self._sns.leads_here(arn):
                arn = ""
        except Exception as error:  # whatever answered
            _remember(self._refused, token, (self._clock(), as_trouble(error)))
            raise
        _remember(self._confirmed, token, None)
        if not arn:  # somebody else's subscription to our topic
            return
        self._events.subscribed(arn)
        self._stand(SubscriptionState.CONFIRMED, "", arn)
        self._changed.set()

    def _confirm_ended(self, token: str, task: asyncio.Task[None]) -> None:
        del self._confirming[token]
        if not task.cancelled():
            task.exception()  # retrieved here too, as nobody may be waiting any more

    def _stand(self, state: SubscriptionState, reason: str, arn: str = "") -> None:
        if (state, reason) != (self._status.state, self._status.reason):
            self.status_changed.set()
        self._status = SubscriptionStatus(state, reason, arn or self._status.arn, time.time())

    async def _wait(self, seconds: float) -> None:
        """Sleep, but wake up when the subscription is confirmed or has ended."""
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await self._race(changed, seconds)
        finally:
            changed.cancel()

    async def _race(self, future: asyncio.Future[Any], seconds: float) -> None:
        """Wait for the future or the clock. The future is not cancelled."""
        nap = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait([future, nap], return_when=asyncio.FIRST_COMPLETED)
        finally:
            nap.cancel()


def _remember(kept: dict[str, _T], token: str, what: _T) -> None:
    while len(kept) >= TOKENS_REMEMBERED:
        del kept[next(iter(kept))]
    kept[token] = what
