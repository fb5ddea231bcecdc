"""One SQS queue, through boto3: receive, delete, hide.

boto3 blocks, a long poll for twenty seconds. When we stop, such a call is left behind; messages
that it still receives become visible again when their time is up.
AWS: SQS API Reference; "Amazon SQS visibility timeout".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.parsers import ResponseParserError

from postamt_sync.awaiting import in_own_thread
from postamt_sync.aws.errors import aws_call

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        MessageTypeDef,
    )

MOST_AT_ONCE = 10
"""The most messages that SQS hands out or deletes in one call."""
LONGEST_CALL = 15.0
"""Seconds for a whole call, in addition to the time that SQS was asked to wait: an answer may never
end, and a poll only lists after it has asked the queue."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """One message as it was received; all of it is untrusted.

    `sent_at` is when it came into the queue, in seconds since 1970. `received` is how often it was
    received, this time included. `error` is, for a dead letter, why its delivery failed.
    """

    body: str
    handle: str
    sent_at: float = 0.0
    received: int = 1
    error: str = ""


class Sqs:
    """The queue at `url`. Every method raises PostamtError, always temporary."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    async def receive(self, wait: int, visibility: int) -> list[QueueMessage]:
        """Return up to ten messages, waiting at most `wait` seconds for the first.

        They are hidden from others for `visibility` seconds. If `wait` is at least 1, an empty
        result means that there were none; with 0, SQS asks only some of its servers.
        """

        def receive() -> list[QueueMessage]:
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=MOST_AT_ONCE,
                WaitTimeSeconds=wait,
                VisibilityTimeout=visibility,
                MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
                MessageAttributeNames=["ErrorCode", "ErrorMessage"],
            )
            return _messages(answer)

        return await self._call("receive from the queue", receive, wait)

    async def delete(self, messages: Sequence[QueueMessage]) -> int:
        """Delete up to ten; return how many were not deleted. Those come again, harmlessly."""
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "ReceiptHandle": message.handle}
            for number, message in enumerate(messages)
        ]

        def delete() -> int:
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            return len(entries) - _done(answer, len(entries))

        return await self._call("delete from the queue", delete)

    async def hide(self, seconds: Sequence[tuple[QueueMessage, int]]) -> None:
        """Hide up to ten messages, each for its number of seconds from now."""
        entries: list[ChangeMessageVisibilityBatchRequestEntryTypeDef] = [
            {
                "Id": str(number),
                "ReceiptHandle": message.handle,
                "VisibilityTimeout": wanted,
            }
            for number, (message, wanted) in enumerate(seconds)
        ]

        def hide() -> None:
            answer = self._client.change_message_visibility_batch(
                QueueUrl=self._url, Entries=entries
            )
            _done(answer, len(entries))

        await self._call("postpone messages of the queue", hide)

    async def _call(self, what: str, call: Callable[[], _T], wait: float = 0.0) -> _T:
        with aws_call(what):
            return await in_own_thread(call, wait + LONGEST_CALL)


def _done(answer: Any, asked: int) -> int:
    """Return how many of a batch were done; raises ResponseParserError if the numbers don't match.

    SQS names each entry, as done or as failed.
    """
    done, failed = len(_list(answer, "Successful")), len(_list(answer, "Failed"))
    if done + failed != asked:
        raise ResponseParserError(f"{asked} were asked for, the answer has {done + failed}")
    return done


def _list(answer: Any, name: str) -> list[Any]:
    """Return a list in the answer, which SQS leaves out if it is empty."""
    found = answer.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise ResponseParserError(f"{name} is not a list")
    return found


def _messages(answer: Any) -> list[QueueMessage]:
    """Return the messages in an answer; raises ResponseParserError if they are not SQS's.

    Without a body and a receipt handle, a message could be neither taken in nor deleted, and would
    come again forever.
    """
    found = _list(answer, "Messages")
    if len(found) > MOST_AT_ONCE:
        raise ResponseParserError(f"{len(found)} messages came, of {MOST_AT_ONCE} asked for")
    for message in found:
        if not isinstance(message, dict) or not all(
            isinstance(message.get(name), str) for name in ("Body", "ReceiptHandle")
        ):
            raise ResponseParserError("a message without its body or receipt handle")
        for name in ("Attributes", "MessageAttributes"):
            if not isinstance(message.get(name) or {}, dict):
                raise ResponseParserError(f"{name} of a message is not an object")
    return [_message(message) for message in found]


def _message(received: MessageTypeDef) -> QueueMessage:
    attributes = received.get("Attributes") or {}
    said = received.get("MessageAttributes") or {}
    error = [
        value
        for name in ("ErrorCode", "ErrorMessage")
        if isinstance(table := said.get(name), dict)
        and isinstance(value := table.get("StringValue"), str)
    ]
    return QueueMessage(
        # JSON can carry half a surrogate pair, which neither a signature nor a ledger can.
        body=received["Body"].encode("utf-8", "replace").decode(),
        handle=received["ReceiptHandle"],
        sent_at=_number(attributes.get("SentTimestamp")) / 1000,
        received=max(1, _number(attributes.get("ApproximateReceiveCount"))),
        error=" ".join(error).encode("utf-8", "replace").decode(),
    )


def _number(text: object) -> int:
    return (
        int(text)
        if isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 16
        else 0
    )
