"""Brings notices to their endpoints as SNS does: tries again, gives up, uses the dead letters."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

import aiohttp

from postamt_sync.demo.notification import SnsNotification
from postamt_sync.demo.push_faults import PushFaults
from postamt_sync.demo.signing import SnsSigner
from postamt_sync.demo.subscription import SnsSubscription

ANSWER_WITHIN = 15.0
"""Seconds that an HTTP endpoint has to answer."""

REMEMBERED = 10_000
"""Attempts kept for whoever wants to see them."""

SendToQueue = Callable[[str, str], Awaitable[None]]
"""Puts a body (second) into the queue with this ARN (first)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to hand over one notice; `status` is None if no answer came."""

    message_id: str
    kind: str
    subscription_arn: str
    status: int | None
    at: float
    """Seconds since 1970."""


class Push:
    """Delivers in the background; a notice in flight survives no restart, as nothing here does.

    `speed` divides all pauses between tries: 1.0 is SNS's own pace.
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
        """Return when every delivery under way was accepted or given up."""
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
        if self._mishaps.loses(notification, subscription):
            return
        body = notification.body(self._signer, version, endpoint, subscription.arn)
        if subscription.raw and notification.kind == "Notification":
            body = notification.message
        for _ in range(self._mishaps.copies(notification)):
            if subscription.protocol == "sqs":
                self._begin(self._enqueue(subscription, body))
            else:
                self._begin(self._deliver(notification, subscription, body))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _enqueue(self, subscription: SnsSubscription, body: str) -> None:
        await self._mishaps.wait()
        await self._to_queue(subscription.endpoint, body)

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
    """Server errors, 429 and silence are tried again; every other refusal is final."""
    return status is None or status >= 500 or status == 429
