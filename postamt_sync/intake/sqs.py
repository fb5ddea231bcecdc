"""One SQS queue, asked through boto3: receive, delete, hide.

boto3 blocks, and a long poll blocks for twenty seconds: a stop leaves such a call behind. What it
still receives is visible again after its time.
AWS: SQS API Reference; "Amazon SQS visibility timeout".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.parsers import ResponseParserError

from postamt_sync.aws.errors import aws_call
from postamt_sync.threads import in_own_thread

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchRequestEntryTypeDef,
        DeleteMessageBatchRequestEntryTypeDef,
        MessageTypeDef,
    )

MOST_AT_ONCE = 10
"""Messages that SQS hands out, or deletes, in one call."""
LONGEST_CALL = 15.0
"""Seconds for a call with all that it takes, besides what SQS was asked to wait: an answer may
never end, and a poll lists only after the queue was asked."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """One message as it was received; all of it is the word of a stranger.

    `sent_at` is when it came into the queue, in seconds since 1970. `received` counts how often it
    was handed out, this time included. `error` is what is said about a delivery that failed, in a
    queue of dead letters.
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

        They are hidden from others for `visibility` seconds. With a `wait` of one second or more
        none means that there was none; with 0 SQS asks some of its servers only.
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
        """Delete up to ten; return how many were not. Those come again, which does no harm."""
        entries: list[DeleteMessageBatchRequestEntryTypeDef] = [
            {"Id": str(number), "ReceiptHandle": message.handle}
            for number, message in enumerate(messages)
        ]

        def delete() -> int:
            answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            return len(entries) - _done(answer, len(entries))

        return await self._call("delete from the queue", delete)

    async def hide(self, seconds: Sequence[tuple[QueueMessage, int]]) -> None:
        """Let up to ten messages stay hidden for so many seconds from now, each its own."""
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
    """Return how many of a batch were done; ResponseParserError where the answer tells of others.

    SQS names each, as done or as failed.
    """
    done, failed = len(_list(answer, "Successful")), len(_list(answer, "Failed"))
    if done + failed != asked:
        raise ResponseParserError(f"{asked} were asked for, the answer tells of {done + failed}")
    return done


def _list(answer: Any, name: str) -> list[Any]:
    """Return a list of the answer, which SQS leaves out where it is empty."""
    found = answer.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise ResponseParserError(f"{name} is no list")
    return found


def _messages(answer: Any) -> list[QueueMessage]:
    """Return the messages of an answer; ResponseParserError where they are none of SQS's.

    Without body and receipt handle nothing could be taken in or deleted, and it would come again
    without an end.
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
                raise ResponseParserError(f"{name} of a message is no table")
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
