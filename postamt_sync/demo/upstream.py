"""The emulator behind the small SNS: requests are forwarded to it, and its messages received."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from postamt_sync.demo.notification import SnsNotification
from postamt_sync.errors import TryLaterError

HOP_BY_HOP = frozenset(
    {"connection", "content-length", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"}
)
LONG_POLL = 20
"""Seconds that SQS waits for messages before it answers; 20 is its maximum."""

QUEUE = "postamt-demo-pump"

S3_SUBJECT = "Amazon S3 Notification"


class Upstream:
    """Talks to the emulator without threads, so that it can be stopped at any time."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        self._session = aiohttp.ClientSession(
            auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def stop(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def forward(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str, bytes]:
        """Forward a request unchanged; return status, content type and body of the answer."""
        kept = {k: v for k, v in headers.items() if k.lower() not in HOP_BY_HOP}
        assert self._session is not None
        async with self._session.request(
            method, self.url + path, headers=kept, data=body, allow_redirects=False
        ) as response:
            kind = response.headers.get("Content-Type", "text/xml")
            return response.status, kind, await response.read()

    async def sns(self, region: str, action: str, **parameters: str) -> bytes:
        """Call the emulator's own SNS. Raises TryLaterError if it refuses."""
        form = aiohttp.FormData({"Action": action, "Version": "2010-03-31", **parameters})
        headers = {"Authorization": _authorization(region, "sns")}
        assert self._session is not None
        async with self._session.post(self.url + "/", data=form, headers=headers) as response:
            body = await response.read()
        if response.status != 200:
            raise TryLaterError(f"The emulator refused SNS {action} ({response.status}).")
        return body

    async def sqs(self, region: str, action: str, **parameters: Any) -> dict[str, Any]:
        """Call the emulator's SQS (JSON protocol). Raises TryLaterError if it refuses."""
        headers = {
            "X-Amz-Target": f"AmazonSQS.{action}",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": _authorization(region, "sqs"),
        }
        assert self._session is not None
        timeout = aiohttp.ClientTimeout(total=LONG_POLL + 30)
        async with self._session.post(
            self.url + "/", json=parameters, headers=headers, timeout=timeout
        ) as response:
            if response.status != 200:
                raise TryLaterError(f"The emulator refused SQS {action} ({response.status}).")
            answer: dict[str, Any] = await response.json(content_type=None)
            return answer

    async def send(self, queue_arn: str, body: str) -> None:
        """Put a body into the queue with this ARN, which need not exist."""
        region, account, name = queue_arn.split(":")[3:6]
        url = f"{self.url}/{account}/{name}"
        try:
            await self.sqs(region, "SendMessage", QueueUrl=url, MessageBody=body)
        except (TryLaterError, aiohttp.ClientError):
            # SNS drops what the queue of a subscriber refuses, and so must its double.
            return


def _authorization(region: str, service: str) -> str:
    """Name region and service in the credential scope, which is all that the emulator reads."""
    scope = f"demo/20260101/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


class Pump:
    """Reads one queue for all topics of a region; passes on each notification once, in order."""

    def __init__(self, upstream: Upstream, publish: Callable[[SnsNotification], None]) -> None:
        self._upstream = upstream
        self._publish = publish
        self._queues: dict[str, str] = {}
        self._topics: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()

    async def attach(self, topic_arn: str) -> None:
        """Begin to pass on this topic's notifications; earlier ones are lost."""
        region, account = topic_arn.split(":")[3:5]
        async with self._lock:
            if topic_arn in self._topics:
                return
            if region not in self._queues:
                made = await self._upstream.sqs(region, "CreateQueue", QueueName=QUEUE)
                self._queues[region] = f"{self._upstream.url}/{account}/{QUEUE}"
                assert made["QueueUrl"].endswith(QUEUE)
                self._tasks.add(asyncio.create_task(self._carry(region)))
            endpoint = f"arn:aws:sqs:{region}:{account}:{QUEUE}"
            await self._upstream.sns(
                region, "Subscribe", TopicArn=topic_arn, Protocol="sqs", Endpoint=endpoint
            )
            self._topics.add(topic_arn)

    def forget(self, topic_arn: str) -> None:
        """Forget a topic that is gone; its subscriptions went with it."""
        self._topics.discard(topic_arn)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(self, region: str) -> None:
        queue = self._queues[region]
        while True:
            try:
                await self._carry_some(region, queue)
            except (aiohttp.ClientError, TimeoutError, TryLaterError):
                await asyncio.sleep(0.5)

    async def _carry_some(self, region: str, queue: str) -> None:
        answer = await self._upstream.sqs(
            region,
            "ReceiveMessage",
            QueueUrl=queue,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=LONG_POLL,
        )
        for message in answer.get("Messages", []):
            self._publish(_notification(json.loads(message["Body"])))
            with contextlib.suppress(TryLaterError):
                await self._upstream.sqs(
                    region,
                    "DeleteMessage",
                    QueueUrl=queue,
                    ReceiptHandle=message["ReceiptHandle"],
                )


def _notification(envelope: dict[str, Any]) -> SnsNotification:
    message = envelope["Message"]
    return SnsNotification(
        topic_arn=envelope["TopicArn"],
        message=message,
        subject=envelope.get("Subject") or _subject(message),
        attributes=envelope.get("MessageAttributes") or {},
        message_id=envelope["MessageId"],
    )


def _subject(message: str) -> str | None:
    """Return the subject that S3 gives its events; the emulator sends them without one."""
    try:
        content = json.loads(message)
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    records = content.get("Records")
    from_s3 = content.get("Event") == "s3:TestEvent" or (
        isinstance(records, list) and bool(records) and records[0].get("eventSource") == "aws:s3"
    )
    return S3_SUBJECT if from_s3 else None
