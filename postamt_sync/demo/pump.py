"""Carries what the emulator publishes to the small SNS, through an SQS queue of the emulator."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from postamt_sync.demo.notification import SnsNotification
from postamt_sync.demo.upstream import LONG_POLL, Upstream
from postamt_sync.errors import TryLaterError

QUEUE = "postamt-demo-pump"
S3_SUBJECT = "Amazon S3 Notification"


class Pump:
    """One queue for all topics of a region; a notice is handed over once, in the order it came."""

    def __init__(self, upstream: Upstream, publish: Callable[[SnsNotification], None]) -> None:
        self._upstream = upstream
        self._publish = publish
        self._queues: dict[str, str] = {}
        self._topics: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = asyncio.Lock()

    async def attach(self, topic_arn: str) -> None:
        """Begin to carry this topic's notices; those published before are not seen."""
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
        """The topic is gone, and its subscriptions with it."""
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
    """Name the subject that S3 gives its events; the emulator sends them without one."""
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
