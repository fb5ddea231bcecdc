"""The envelope index as the webmail reads it: a month's mails newest first, and one by its id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from postamt_sync.index.entry import IndexEntry, from_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class EntriesPage:
    """Entries with the moment each was received, newest first.

    `ended`: there are no more in this month.
    """

    entries: tuple[IndexEntry, ...]
    ended: bool


class EntryTable(Protocol):
    """The index. Raises whatever the service raises."""

    def month(self, month: str, most: int, after: tuple[str, str] | None = None) -> EntriesPage:
        """Return entries of a month ("2026-11"); `after` are time and id of the last one seen."""

    def entry(self, message_id: str) -> IndexEntry | None:
        """Return one entry, None if there is none."""


class DynamoEntryTable:
    """The table at AWS."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def month(self, month: str, most: int, after: tuple[str, str] | None = None) -> EntriesPage:
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": "by_received",
            "KeyConditionExpression": "#month = :month",
            "ExpressionAttributeNames": {"#month": "month"},
            "ExpressionAttributeValues": {":month": {"S": month}},
            "ScanIndexForward": False,
            "Limit": most,
        }
        if after is not None:
            received_at, message_id = after
            request["ExclusiveStartKey"] = {
                "month": {"S": month},
                "received_at": {"S": received_at},
                "message_id": {"S": message_id},
            }
        answer = self._client.query(**request)
        found = tuple(e for e in map(_entry, answer["Items"]) if e is not None)
        return EntriesPage(found, ended="LastEvaluatedKey" not in answer)

    def entry(self, message_id: str) -> IndexEntry | None:
        answer = self._client.get_item(
            TableName=self._table, Key={"message_id": {"S": message_id}}, ConsistentRead=True
        )
        item = answer.get("Item")
        return None if item is None else _entry(item)


def _entry(item: Mapping[str, Mapping[str, Any]]) -> IndexEntry | None:
    """Return the entry of an item; None where it is none of ours: a later version's, say."""
    try:
        return from_item(item)
    except (KeyError, ValueError, TypeError):
        return None
