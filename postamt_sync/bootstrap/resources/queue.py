"""An SQS queue: the one for arrivals, or one of the two for dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Guard, PlanItem, call
from postamt_sync.bootstrap.resource_policies import queue_statement
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.tags import NOT_OURS, is_ours, stranger

DAYS_14 = str(14 * 86_400)
"""The longest that SQS keeps a message."""

NAMES = {
    "MessageRetentionPeriod": "message retention, in seconds",
    "ReceiveMessageWaitTimeSeconds": "receive wait time, in seconds",
    "SqsManagedSseEnabled": "encrypted",
}
MISSING = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
DELETED_LATELY = ("AWS.SimpleQueueService.QueueDeletedRecently", "QueueDeletedRecently")
"""SQS requires 60 s between deleting a queue and creating it again."""


@dataclass(frozen=True, slots=True)
class QueueResource:
    """The queue with its attributes and, if the topic sends to it, its policy."""

    stack: Stack
    aws: AwsClient
    name: str
    from_topic: bool = True

    @property
    def title(self) -> str:
        return f"queue {self.name}"

    def plan(self) -> Iterator[PlanItem]:
        url = self._url()
        statements = [queue_statement(self.stack, self.name)] if self.from_topic else []
        if url is None:
            attributes = dict(self._wanted)
            if statements:
                attributes["Policy"] = policy_document.text(policy_document.document(*statements))
            parameters = {
                "QueueName": self.name,
                "Attributes": attributes,
                "tags": self.stack.tags,
            }
            made = Call("sqs", "create_queue", parameters, retry_on=DELETED_LATELY)
            yield Change("create", [made])
            return
        conflict = stranger(self._tags(url), self.stack)
        if conflict is not None:
            yield conflict
            return
        actual = self._attributes(url)
        for name, wanted in self._wanted.items():
            if actual.get(name) != wanted:
                shown = actual.get(name, "?")
                put = _set(url, {name: wanted})
                yield Change(f"{NAMES[name]}: {shown} → {wanted}", [put])
        seen = policy_document.parse(actual.get("Policy"))
        message = ", ".join(policy_document.differences(seen, statements))
        if message:
            merged = policy_document.text(policy_document.with_statements(seen, statements))
            guard = Guard(
                f"the policy of queue {self.name}",
                lambda: policy_document.parse(self._attributes(url).get("Policy")),
                seen,
            )
            yield Change(f"policy: {message}", [_set(url, {"Policy": merged}, guard)])

    def destroy(self) -> Iterator[PlanItem]:
        url = self._url()
        if url is None:
            return
        if is_ours(self._tags(url), self.stack):
            yield Change("delete", [call("sqs", "delete_queue", QueueUrl=url)])
        else:
            yield NOT_OURS

    @property
    def _wanted(self) -> dict[str, str]:
        return {
            "MessageRetentionPeriod": DAYS_14,
            "ReceiveMessageWaitTimeSeconds": "20",
            "SqsManagedSseEnabled": "true",
        }

    def _url(self) -> str | None:
        """Return its URL; None if it does not exist or was only just deleted."""
        answer = self.aws.read("sqs", "get_queue_url", missing=MISSING, QueueName=self.name)
        if answer is None:
            return None
        url = str(answer["QueueUrl"])
        # SQS keeps returning the URL of a deleted queue for up to 60 s.
        there = self.aws.read("sqs", "list_queue_tags", missing=MISSING, QueueUrl=url)
        return None if there is None else url

    def _attributes(self, url: str) -> dict[str, str]:
        answer = self.aws.read("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])
        return dict((answer or {}).get("Attributes", {}))

    def _tags(self, url: str) -> dict[str, str]:
        answer = self.aws.read("sqs", "list_queue_tags", QueueUrl=url)
        return dict((answer or {}).get("Tags", {}))


def _set(url: str, attributes: dict[str, str], guard: Guard | None = None) -> Call:
    parameters = {"QueueUrl": url, "Attributes": attributes}
    return Call("sqs", "set_queue_attributes", parameters, guard=guard)
