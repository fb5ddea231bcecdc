"""A smoke test: an object is stored below our prefix, and the topic must announce it.

This shows that S3 may publish to the topic and that the topic delivers. The object is named like
SES's own test, which the daemon knows not to be mail. The test has a queue of its own, because the
daemon drains the others.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, call
from postamt_sync.bootstrap.resource_policies import queue_statement
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.mail.arrival import SETUP_NOTIFICATION

WITHIN = 90.0
"""Seconds. S3's events usually come within two seconds, but may take more than a minute."""

ASK_SECONDS = 5

AGAIN_AFTER = 30.0
"""Seconds of silence after which the object is stored once more.

SNS drops a notification that a queue's policy refuses, and a new policy may not be in effect
everywhere yet (SNS Developer Guide, "Dead-letter queues").
"""


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """The test. Everything that it creates at AWS is deleted when it ends, however it ends."""

    stack: Stack
    aws: AwsClient
    clock: Callable[[], float] = time.monotonic

    def announced_within(self, seconds: float = WITHIN) -> float | None:
        """Return after how many seconds the object was announced; None if it was not."""
        name = f"{self.stack.name}-verify-{secrets.token_hex(4)}"
        key = f"{self.stack.prefix}{name}/{SETUP_NOTIFICATION}"
        with ExitStack() as stack:
            url = stack.enter_context(self._queue(name))
            stack.enter_context(self._subscribed(name))
            begin = put = self.clock()
            stack.enter_context(self._object(key))
            while (now := self.clock()) - begin < seconds:
                if now - put >= AGAIN_AFTER:
                    put = now
                    self._put(key)
                if self._heard_of(key, url):
                    return self.clock() - begin
        return None

    def _put(self, key: str) -> None:
        bucket = self.stack.bucket
        self.aws.write(call("s3", "put_object", Bucket=bucket, Key=key, Body=b"A trial.\n"))

    @contextmanager
    def _queue(self, name: str) -> Iterator[str]:
        statement = queue_statement(self.stack, name)
        url = self._told(
            "sqs",
            "create_queue",
            "QueueUrl",
            QueueName=name,
            Attributes={"Policy": policy_document.text(policy_document.document(statement))},
            tags=self.stack.tags,
        )
        try:
            yield url
        finally:
            self.aws.write(call("sqs", "delete_queue", QueueUrl=url))

    @contextmanager
    def _subscribed(self, name: str) -> Iterator[None]:
        arn = self._told(
            "sns",
            "subscribe",
            "SubscriptionArn",
            TopicArn=self.stack.topic_arn,
            Protocol="sqs",
            Endpoint=self.stack.queue_arn(name),
            ReturnSubscriptionArn=True,
        )
        try:
            yield
        finally:
            self.aws.write(call("sns", "unsubscribe", SubscriptionArn=arn))

    def _told(self, service: str, operation: str, member: str, /, **parameters: Any) -> str:
        """Create something and return its name from AWS's answer; AWS may not list it yet."""
        answers: list[Mapping[str, Any]] = []
        self.aws.write(Call(service, operation, parameters, on_response=answers.append))
        return str(answers[0][member])

    @contextmanager
    def _object(self, key: str) -> Iterator[None]:
        bucket = self.stack.bucket
        try:
            # Inside the try: even if this fails, the object may have been stored.
            self._put(key)
            yield
        finally:
            page = self.aws.read("s3", "list_object_versions", Bucket=bucket, Prefix=key) or {}
            for version in page.get("Versions", []):
                names = {"Key": key, "VersionId": version["VersionId"]}
                self.aws.write(call("s3", "delete_object", Bucket=bucket, **names))

    def _heard_of(self, key: str, url: str) -> bool:
        answer = self.aws.read(
            "sqs",
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=ASK_SECONDS,
        )
        return any(_names(key, m["Body"]) for m in (answer or {}).get("Messages", []))


def _names(key: str, body: str) -> bool:
    """Whether the notification names the key: S3 URL-encodes it, so compare its random part."""
    try:
        message = json.loads(body)["Message"]
    except (ValueError, KeyError, TypeError):
        return False
    return key.split("/")[-2] in str(message)
