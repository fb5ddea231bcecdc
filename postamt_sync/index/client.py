"""The index as the daemon sees it: a table that knows envelopes by the key of their mail.

Mail is never found through it. Questions are asked a hundred at a time.
AWS: DynamoDB API Reference, "BatchGetItem".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from postamt_sync.awaiting import in_own_thread
from postamt_sync.aws.clients import dynamodb_client, lean_session
from postamt_sync.aws.errors import aws_call
from postamt_sync.config import Settings
from postamt_sync.errors import TryLaterError
from postamt_sync.index.item import ENVELOPE_ATTRIBUTES, Item, envelope
from postamt_sync.mail.arrival import Envelope

if TYPE_CHECKING:
    import boto3
    from types_boto3_dynamodb import DynamoDBClient

MOST_AT_ONCE = 100
"""Keys that one request may name."""
LONGEST_CALL = 20.0
"""Seconds for a call with all that it takes: an answer may never end, and a listing is
recorded only after the index was asked."""
FIRST_PAUSE = 0.1
"""Seconds before what DynamoDB left unprocessed is asked again; doubles each time."""
LEFT_OVER = 8
"""Times in a row that DynamoDB may process nothing of a request before we give up for now."""

_NAMES = {f"#{number}": name for number, name in enumerate(ENVELOPE_ATTRIBUTES)}


def open_index(settings: Settings, session: boto3.Session | None = None) -> Index | None:
    """Return the configured index, None if there is none: then no client is made.

    Raises MisconfiguredError where boto3's own settings cannot be used.
    """
    if not settings.index.table:
        return None
    client = dynamodb_client(session or lean_session(), settings.aws.region)
    return Index(client, settings.index.table, settings.bucket.prefix)


class Index:
    """The table of one bucket's `prefix`."""

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        prefix: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._prefix = prefix
        self._sleep = sleep

    async def envelopes(self, keys: Sequence[str]) -> dict[str, Envelope]:
        """Return by key the envelopes that receipts have told; of others it knows none.

        Reads may be some seconds old. Raises PostamtError, always temporary.
        """
        names = {k.removeprefix(self._prefix): k for k in keys if k.startswith(self._prefix)}
        names.pop("", None)
        found: dict[str, Envelope] = {}
        for batch in _batches(list(names)):
            for item in await self._items(batch):
                said = envelope(item)
                # The item says itself which object it is of.
                if said is not None and item["key"]["S"] == names.get(item["message_id"]["S"]):
                    found[item["key"]["S"]] = said
        return found

    async def _items(self, names: Sequence[str]) -> list[Item]:
        items: list[Item] = []
        wanted: list[Any] = [{"message_id": {"S": name}} for name in names]
        in_vain = 0
        while wanted:
            if in_vain == LEFT_OVER:
                raise TryLaterError(
                    "The index answers only in part.", "DynamoDB is throttling; it is tried again."
                )
            if in_vain:
                await self._sleep(FIRST_PAUSE * 2 ** (in_vain - 1))
            some, left = await in_own_thread(partial(self._ask, wanted), LONGEST_CALL)
            items += some
            in_vain = in_vain + 1 if len(left) == len(wanted) else min(len(left), 1)
            wanted = left
        return items

    def _ask(self, keys: list[Any]) -> tuple[list[Item], list[Any]]:
        """Return what was found, and the keys that DynamoDB left for another time."""
        request: Any = {
            "Keys": keys,
            "ProjectionExpression": ", ".join(_NAMES),
            "ExpressionAttributeNames": _NAMES,
        }
        with aws_call("ask the index", name=self._table):
            answer: Any = self._client.batch_get_item(RequestItems={self._table: request})
            left = answer["UnprocessedKeys"].get(self._table, {}).get("Keys", [])
            return answer["Responses"].get(self._table, []), left


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), MOST_AT_ONCE):
        yield names[start : start + MOST_AT_ONCE]
