"""Reading the envelope index: a month's mails, newest first, and single mails by their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from postamt_sync.index.entry import IndexEntry
from postamt_sync.index.entry_item import from_item

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

_AT_ONCE = 100
"""Keys of one BatchGetItem."""
_ROUNDS = 5
_LONGEST_KEY = 2_048


@dataclass(frozen=True, slots=True)
class EntriesPage:
    """Entries, the one received last first. `ended`: there are no more in this month."""

    entries: tuple[IndexEntry, ...]
    ended: bool


class EntryTable(Protocol):
    """The index. Its methods raise whatever the service raises."""

    def month(self, month: str, most: int, after: tuple[str, str] | None = None) -> EntriesPage:
        """Return entries of a month ("2026-11"), those after the time and id in `after`."""

    def entry(self, message_id: str) -> IndexEntry | None:
        """Return one entry, None if there is none."""

    def known(self, message_ids: Sequence[str], listed: str = "") -> set[str]:
        """Return those of these mails that have an entry.

        With `listed`, only those that have all their lines by this version of the routes.
        """


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
        found = tuple(e for e in map(read_entry, answer["Items"]) if e is not None)
        return EntriesPage(found, ended="LastEvaluatedKey" not in answer)

    def entry(self, message_id: str) -> IndexEntry | None:
        answer = self._client.get_item(
            TableName=self._table, Key={"message_id": {"S": message_id}}, ConsistentRead=True
        )
        item = answer.get("Item")
        return None if item is None else read_entry(item)

    def known(self, message_ids: Sequence[str], listed: str = "") -> set[str]:
        found: set[str] = set()
        # Ids that are too long for keys of the table cannot have been indexed.
        names = [n for n in dict.fromkeys(message_ids) if 1 <= len(n.encode()) <= _LONGEST_KEY]
        for at in range(0, len(names), _AT_ONCE):
            wanted: list[Any] = [{"message_id": {"S": name}} for name in names[at : at + _AT_ONCE]]
            for _ in range(_ROUNDS):
                request: Any = {"Keys": wanted, "ProjectionExpression": "message_id, listed"}
                answer: Any = self._client.batch_get_item(RequestItems={self._table: request})
                said = answer["Responses"].get(self._table, [])
                found |= {
                    item["message_id"]["S"]
                    for item in said
                    if not listed or item.get("listed", {}).get("S") == listed
                }
                wanted = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
                if not wanted:
                    break
            # What was not answered in the end counts as known: the next look asks again.
            found |= {key["message_id"]["S"] for key in wanted}
        return found


def read_entry(item: Mapping[str, Mapping[str, Any]]) -> IndexEntry | None:
    """Return an item's entry; None if it is not one that we know, such as a later version's."""
    try:
        return from_item(item)
    except (KeyError, ValueError, TypeError):
        return None
