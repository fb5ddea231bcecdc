"""Delivers notifications to endpoints as SNS does: with retries and dead letters."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

import aiohttp

from postamt_sync.demo.notification import SnsNotification, SnsSigner
from postamt_sync.demo.subscription import SnsSubscription

ANSWER_WITHIN = 15.0
"""Seconds that an HTTP endpoint has to answer."""

LAMBDA_SPEED = 60.0
"""How much faster than by Lambda, which waits minutes, a function is called again."""

REMEMBERED = 10_000
"""The number of attempts that are kept."""

SendToQueue = Callable[[str, str], Awaitable[None]]
"""Takes the ARN of a queue, and a body to put into it."""

Function = Callable[[str], None]
"""Stands for a Lambda function subscribed to a topic; called with the message, in a thread."""


@dataclass(slots=True)
class PushFaults:
    """What is to go wrong next; by default nothing does."""

    api_down: bool = False
    """Every API call is answered 503."""
    certificate_down: bool = False
    """The certificate is answered 503."""
    _lost: list[tuple[str, str | None, bool]] = field(default_factory=list)
    _copied: dict[str, int] = field(default_factory=dict)
    _flow: asyncio.Event = field(default_factory=asyncio.Event)
    _held: int = 0
    _disorder: random.Random | None = None

    def __post_init__(self) -> None:
        self._flow.set()

    def lose(
        self, containing: str, subject: str | None = None, *, for_queues: bool = False
    ) -> None:
        """Never push a notification whose message contains this to an HTTP endpoint.

        With a `subject` only notifications with it are lost. Queues still get all of them,
        unless it is lost `for_queues` too.
        """
        self._lost.append((containing, subject, for_queues))

    def repeat(self, containing: str, times: int) -> None:
        """Send a notification that contains this `times` times in all, even if it is accepted."""
        self._copied[containing] = times

    def hold(self) -> None:
        """Send nothing until `release`."""
        self._held = 0
        self._flow.clear()

    def release(self, shuffle: int | None = None) -> None:
        """Send what was held; with a seed, in an order that is shuffled by it."""
        self._disorder = None if shuffle is None else random.Random(shuffle)  # noqa: S311
        self._flow.set()

    def loses(self, notification: SnsNotification, *, over_http: bool) -> bool:
        if notification.kind != "Notification":
            return False
        return any(
            text in notification.message
            and subject in (None, notification.subject)
            and (for_queues or over_http)
            for text, subject, for_queues in self._lost
        )

    def copies(self, notification: SnsNotification) -> int:
        return max(
            (n for text, n in self._copied.items() if text in notification.message), default=1
        )

    async def wait(self) -> None:
        """Return when SNS may send: at once, unless notifications are held."""
        if self._flow.is_set():
            return
        self._held += 1
        await self._flow.wait()
        if self._disorder is not None:
            for _ in range(self._disorder.randrange(self._held)):
                await asyncio.sleep(0)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver one notification; `status` is None if no answer came."""

    message_id: str
    kind: str
    subscription_arn: str
    status: int | None
    at: float
    """Seconds since 1970."""


class Push:
    """Delivers in the background; notifications in flight do not survive a restart.

    `speed` divides all pauses between attempts: 1.0 is SNS's own pace.
    """

    def __init__(
        self,
        signer: SnsSigner,
        to_queue: SendToQueue,
        mishaps: PushFaults,
        speed: float = 1.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._signer = signer
        self._to_queue = to_queue
        self._mishaps = mishaps
        self._speed = speed
        self._tls: ssl.SSLContext | bool = tls or True
        self._running: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self.answer_within = ANSWER_WITHIN
        self.attempts: deque[Attempt] = deque(maxlen=REMEMBERED)

    def start(self) -> None:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=32),
        )

    async def stop(self) -> None:
        """End all deliveries, done or not."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def settled(self) -> None:
        """Return once every delivery under way has been accepted or given up."""
        while self._running:
            await asyncio.wait(set(self._running))

    def send(
        self,
        notification: SnsNotification,
        subscription: SnsSubscription,
        version: str,
        endpoint: str,
    ) -> None:
        """Begin to deliver; `version` is the topic's SignatureVersion, `endpoint` SNS's own URL."""
        if self._mishaps.loses(notification, over_http=subscription.protocol != "sqs"):
            return
        body = notification.body(self._signer, version, endpoint, subscription.arn)
        if subscription.raw and notification.kind == "Notification":
            body = notification.message
        for _ in range(self._mishaps.copies(notification)):
            if subscription.protocol == "sqs":
                self._begin(self._enqueue(subscription, body))
            else:
                self._begin(self._deliver(notification, subscription, body))

    def invoke(self, function: Function, notification: SnsNotification) -> None:
        """Begin to call a function, which gets the notifications that queues get."""
        if not self._mishaps.loses(notification, over_http=False):
            for _ in range(self._mishaps.copies(notification)):
                self._begin(self._invoke(function, notification.message))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _enqueue(self, subscription: SnsSubscription, body: str) -> None:
        await self._mishaps.wait()
        await self._to_queue(subscription.endpoint, body)

    async def _invoke(self, function: Function, message: str) -> None:
        """Call a function; call it up to twice more if it fails, as Lambda does."""
        await self._mishaps.wait()
        for pause in (60.0, 120.0, None):
            try:
                await asyncio.to_thread(function, message)
            except Exception:
                if pause is None:
                    raise
                await asyncio.sleep(pause / (self._speed * LAMBDA_SPEED))
            else:
                return

    async def _deliver(
        self, notification: SnsNotification, subscription: SnsSubscription, body: str
    ) -> None:
        await self._mishaps.wait()
        pauses = subscription.pauses()
        while True:
            status = await self._post(notification, subscription, body)
            now = time.time()
            self.attempts.append(
                Attempt(notification.message_id, notification.kind, subscription.arn, status, now)
            )
            if status is not None and 200 <= status < 300:
                return
            pause = next(pauses, None) if _may_recover(status) else None
            if pause is None:
                break
            await asyncio.sleep(pause / self._speed)
        dead_letters = subscription.dead_letter_arn
        if dead_letters is not None and notification.kind == "Notification":
            await self._to_queue(dead_letters, body)

    async def _post(
        self, notification: SnsNotification, subscription: SnsSubscription, body: str
    ) -> int | None:
        assert self._session is not None
        try:
            async with self._session.post(
                subscription.endpoint,
                data=body.encode(),
                headers=notification.headers(
                    subscription.arn, subscription.raw and notification.kind == "Notification"
                ),
                allow_redirects=False,
                ssl=self._tls,
                timeout=aiohttp.ClientTimeout(total=self.answer_within),
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None


def _may_recover(status: int | None) -> bool:
    """Server errors, 429 and no answer are tried again; every other refusal is final."""
    return status is None or status >= 500 or status == 429
