"""May the daemon do what it does? Each thing is tried as the daemon does it.

Nothing is changed: a message is looked at and stays visible, one that is not there is deleted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.aws.errors import ForbiddenError
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.config import Settings
from postamt_sync.doctor.account import AwsAccount
from postamt_sync.doctor.check import AdministratorsCheck, Check, NotCheckedError
from postamt_sync.doctor.finding import Finding, Missing, Severity
from postamt_sync.mail.seal_table import KEY, STATE, WATERMARK
from postamt_sync.quantities import count, span

ASLEEP = frozenset({"GLACIER", "DEEP_ARCHIVE"})
NO_SUCH_QUEUE = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")
NO_SUCH_RECEIPT = (
    "ReceiptHandleIsInvalid",
    "InvalidParameterValue",
    "InvalidIdFormat",
    "AWS.SimpleQueueService.InvalidIdFormat",
    "MessageNotInflight",
    "AWS.SimpleQueueService.MessageNotInflight",
)
NO_SUCH_TOKEN = ("InvalidParameter", "InvalidParameterException", "NotFound", "NotFoundException")
NOBODY = "postamt-sync-doctor"
"""No mail has this message id, no message this handle."""


@dataclass(frozen=True, slots=True)
class PermissionCheck:
    """One thing that the daemon does. `attempt` returns what is wrong besides, "" for nothing."""

    subject: str
    action: str
    account: AwsAccount
    attempt: Callable[[AwsClient], str]
    remedy: str = ""
    thing: str = ""
    """What the attempt would find missing."""

    def look(self) -> Iterable[Finding]:
        _, aws = self.account.open()
        try:
            wrong = self.attempt(aws)
        except ForbiddenError:
            words = f"The AWS credentials may not {self.action}, which the daemon needs."
            remedy = f"Allow {self.action} in the sync user's policy: postamt-sync bootstrap apply"
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
            return
        if wrong:
            cause = Missing(self.thing) if self.thing else ""
            yield Finding(self.subject, Severity.FAILURE, wrong, self.remedy, cause, follows=True)
        else:
            yield Finding(self.subject, Severity.OK, f"We may: {self.action}.")


def permissions(settings: Settings, account: AwsAccount) -> Iterator[Check]:
    """Yield everything that this configuration lets the daemon do."""
    yield from _bucket(settings, account)
    for url, name in (
        (settings.queue.url, "queue"),
        (settings.queue.dead_letter_url, "dead letters"),
    ):
        if url:
            yield from _queue(account, url, name)
            yield AdministratorsCheck(
                BacklogCheck(f"waiting in {name}", account, url, settings.poll.interval)
            )
    if settings.index.table:
        yield _index(settings.index.table, account)
    if settings.seal.enabled:
        yield from _sealing(settings.seal_table, account)
    if settings.webhook is not None:
        # With a token that nobody was given: whoever has the right is told so of the token.
        token = {"TopicArn": settings.webhook.topic_arn, "Token": NOBODY}
        yield PermissionCheck(
            "permission webhook",
            "sns:ConfirmSubscription",
            account,
            lambda aws: _ask(aws, "sns", "confirm_subscription", NO_SUCH_TOKEN, **token),
        )
    if settings.alerts.publishing:
        yield from _metrics(account)


def _metrics(account: AwsAccount) -> Iterator[PermissionCheck]:
    metric: dict[str, Any] = {"Namespace": "AWS/SES", "MetricName": "PublishFailure"}
    now = dt.datetime.now(dt.UTC)
    hour = {"StartTime": now - dt.timedelta(hours=1), "EndTime": now}
    sums = {**hour, "Period": 3600, "Statistics": ["Sum"]}
    for action, operation, more in (
        ("cloudwatch:ListMetrics", "list_metrics", {}),
        ("cloudwatch:GetMetricStatistics", "get_metric_statistics", sums),
    ):
        yield PermissionCheck(
            "permission metrics",
            action,
            account,
            lambda aws, operation=operation, more=more: _ask(  # type: ignore[misc]
                aws, "cloudwatch", operation, **metric, **more
            ),
        )


def _bucket(settings: Settings, account: AwsAccount) -> Iterator[PermissionCheck]:
    bucket = settings.bucket
    whom = f"Check bucket.name and aws.region; they say {bucket.name}, {settings.aws.region}."
    sealed = bucket.sealed_prefix if settings.seal.enabled else ""
    listed = filter(None, (*settings.mail_prefixes, bucket.recent_prefix, sealed))
    for prefix in dict.fromkeys(listed):
        yield PermissionCheck(
            f"permission bucket {prefix}",
            "s3:ListBucket",
            account,
            lambda aws, prefix=prefix: _list(aws, bucket.name, prefix)[1],  # type: ignore[misc]
            whom,
            "bucket",
        )

    def get(aws: AwsClient) -> str:
        try:
            awake, wrong = _list(aws, bucket.name, bucket.prefix)
        except ForbiddenError as error:
            raise NotCheckedError(
                "Not checked: the bucket may not be listed.", "Allow that first."
            ) from error
        if not wrong and awake:
            # Of an object that is gone meanwhile S3 says that we may not, if it may not say more.
            one = {"Bucket": bucket.name, "Key": awake, "Range": "bytes=0-0"}
            answer = aws.read("s3", "get_object", missing=("NoSuchKey", "InvalidRange"), **one)
            if answer is not None:
                answer["Body"].close()
        return wrong

    yield PermissionCheck(
        f"permission mail in {bucket.prefix}", "s3:GetObject", account, get, whom, "bucket"
    )


def _list(aws: AwsClient, bucket: str, prefix: str) -> tuple[str, str]:
    """Return a key that can be read now, "" if there is none, and what is wrong with the bucket."""
    asked: Mapping[str, Any] = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": 20}
    answer = aws.read("s3", "list_objects_v2", missing=("NoSuchBucket",), **asked)
    if answer is None:
        return "", f"There is no bucket {bucket}."
    every = answer.get("Contents", [])
    awake = [o["Key"] for o in every if o.get("StorageClass") not in ASLEEP and o.get("Size")]
    return (awake[0] if awake else ""), ""


def _queue(account: AwsAccount, url: str, name: str) -> Iterator[PermissionCheck]:
    remedy = "Check the URLs in [queue] and aws.region, or make it: postamt-sync bootstrap apply"

    def receive(aws: AwsClient) -> str:
        # Visible again at once: it is not taken from the daemon. Queues wait unless told not to.
        asked = {"QueueUrl": url, "VisibilityTimeout": 0, "WaitTimeSeconds": 0}
        answer = aws.read("sqs", "receive_message", missing=NO_SUCH_QUEUE, **asked)
        return "AWS has no such queue." if answer is None else ""

    yield PermissionCheck(
        f"permission {name}", "sqs:ReceiveMessage", account, receive, remedy, name
    )
    for action, operation, more in (
        ("sqs:DeleteMessage", "delete_message", {}),
        ("sqs:ChangeMessageVisibility", "change_message_visibility", {"VisibilityTimeout": 0}),
    ):
        yield PermissionCheck(
            f"permission {name}",
            action,
            account,
            lambda aws, operation=operation, more=more: _ask(  # type: ignore[misc]
                *(aws, "sqs", operation),
                missing=(*NO_SUCH_RECEIPT, *NO_SUCH_QUEUE),
                **{"QueueUrl": url, "ReceiptHandle": NOBODY, **more},
            ),
        )


@dataclass(frozen=True, slots=True)
class BacklogCheck:
    """Does anything lie in a queue that the daemon empties at each poll?"""

    subject: str
    account: AwsAccount
    url: str
    interval: float

    def look(self) -> Iterable[Finding]:
        _, aws = self.account.open()
        names = ["ApproximateNumberOfMessages"]
        asked = {"QueueUrl": self.url, "AttributeNames": names}
        answer = aws.read("sqs", "get_queue_attributes", missing=NO_SUCH_QUEUE, **asked)
        if answer is None:
            return  # whoever receives from it says so
        waiting = int(answer.get("Attributes", {}).get(names[0], 0))
        if waiting:
            words = f"About {count(waiting, 'message')} waiting for the daemon's next poll."
            remedy = f"If they stay for more than {span(self.interval)}, see: postamt-sync status"
            yield Finding(self.subject, Severity.WARNING, words, remedy)
        else:
            yield Finding(self.subject, Severity.OK, "Nothing is waiting.")


def _index(table: str, account: AwsAccount) -> PermissionCheck:
    def ask(aws: AwsClient) -> str:
        keys = {"Keys": [{"message_id": {"S": NOBODY}}]}
        missing = ("ResourceNotFoundException",)
        asked = {"RequestItems": {table: keys}}
        answer = aws.read("dynamodb", "batch_get_item", missing=missing, **asked)
        return f"There is no table {table} in this account and region." if answer is None else ""

    remedy = "Check index.table and aws.region, or make it: postamt-sync bootstrap apply"
    return PermissionCheck(
        "permission index", "dynamodb:BatchGetItem", account, ask, remedy, "index"
    )


def _sealing(table: str, account: AwsAccount) -> Iterator[PermissionCheck]:
    """What the daemon hears of sealing, and what it says, under a condition that never holds."""
    none, remedy = ("ResourceNotFoundException",), "Make it: postamt-sync bootstrap apply"

    def hear(aws: AwsClient) -> str:
        asked = {"TableName": table, "Key": {KEY: {"S": STATE}}}
        answer = aws.read("dynamodb", "get_item", missing=none, **asked)
        return f"There is no table {table} in this account and region." if answer is None else ""

    yield PermissionCheck(
        "permission sealing", "dynamodb:GetItem", account, hear, remedy, "sealing"
    )
    asked: dict[str, Any] = {
        "TableName": table,
        "Key": {KEY: {"S": WATERMARK}},
        "ConditionExpression": f"{KEY} = :nobody",
        "ExpressionAttributeValues": {":nobody": {"S": NOBODY}},
    }
    yield PermissionCheck(
        "permission sealing",
        "dynamodb:UpdateItem",
        account,
        lambda aws: _ask(
            *(aws, "dynamodb", "update_item"),
            missing=(*none, "ConditionalCheckFailedException"),
            **asked,
        ),
    )


def _ask(
    aws: AwsClient, service: str, operation: str, missing: tuple[str, ...] = (), **parameters: Any
) -> str:
    aws.read(service, operation, missing=missing, **parameters)
    return ""
