"""The webmail's own table: small records with two keys and an end, and conditional writes.

It is `<stack>-webmail`, with the partition key `holder` and the sort key `name`, both strings, and
the attribute `expires` for the time to live. DynamoDB may keep a record for days after it has
expired, so readers have to check the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Value = str | int
Fields = Mapping[str, Value]

_RACE_LOST = "ConditionalCheckFailedException"
KEYS = ("holder", "name")
"""Partition key and sort key."""
ENDS_AT = "expires"
"""The attribute of the time to live, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class FieldsPage:
    """Records in the order of their names. `after` leads to the next ones, "" at the end."""

    found: tuple[tuple[str, Fields], ...]
    after: str = ""


class RecordTable(Protocol):
    """Writes are durable on return. Methods raise whatever the service raises.

    Fields must not be called `holder` or `name`, which are the keys.
    """

    def get(self, holder: str, name: str) -> Fields | None:
        """Return a record, None if there is none. This is a consistent read."""

    def put(
        self, holder: str, name: str, fields: Fields, *, expect: Fields | bool | None = True
    ) -> bool:
        """Write a whole record. False if nothing was written because it is not as expected.

        `expect` has fields that the existing record must have; None means that there must be none,
        True that anything may be there.
        """

    def update(self, holder: str, name: str, fields: Fields, *, expect: Fields) -> bool:
        """Set fields of a record if it exists and has those of `expect`; tell whether it did."""

    def delete(self, holder: str, name: str) -> None:
        """Remove a record, if there is one."""

    def names(
        self,
        holder: str,
        *,
        most: int,
        after: str = "",
        newest_first: bool = False,
        between: tuple[str, str] | None = None,
    ) -> FieldsPage:
        """Return records of a holder. The latest writes may be missing.

        `between` limits the names, with both of them included.
        """


class DynamoRecordTable:
    """The table at AWS."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, holder: str, name: str) -> Fields | None:
        answer = self._client.get_item(
            TableName=self._table, Key=_key(holder, name), ConsistentRead=True
        )
        item = answer.get("Item")
        return None if item is None else _fields(item)

    def put(
        self, holder: str, name: str, fields: Fields, *, expect: Fields | bool | None = True
    ) -> bool:
        if not fields.keys().isdisjoint(KEYS):
            raise ValueError("a field has the name of a key")
        request: dict[str, Any] = {
            "TableName": self._table,
            "Item": _key(holder, name) | {key: _value(value) for key, value in fields.items()},
        }
        if expect is None:
            request["ConditionExpression"] = "attribute_not_exists(holder)"
        elif isinstance(expect, Mapping):
            request |= _condition(expect)
        return self._written(self._client.put_item, request)

    def update(self, holder: str, name: str, fields: Fields, *, expect: Fields) -> bool:
        request = {"TableName": self._table, "Key": _key(holder, name)} | _condition(expect)
        sets = [f"#s{n} = :s{n}" for n in range(len(fields))]
        request["UpdateExpression"] = f"SET {', '.join(sets)}"
        for n, (key, value) in enumerate(fields.items()):
            request.setdefault("ExpressionAttributeNames", {})[f"#s{n}"] = key
            request.setdefault("ExpressionAttributeValues", {})[f":s{n}"] = _value(value)
        return self._written(self._client.update_item, request)

    def delete(self, holder: str, name: str) -> None:
        self._client.delete_item(TableName=self._table, Key=_key(holder, name))

    def names(
        self,
        holder: str,
        *,
        most: int,
        after: str = "",
        newest_first: bool = False,
        between: tuple[str, str] | None = None,
    ) -> FieldsPage:
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "holder = :holder",
            "ExpressionAttributeValues": {":holder": {"S": holder}},
            "ScanIndexForward": not newest_first,
            "Limit": most,
        }
        if between is not None:
            first, last = between
            request["KeyConditionExpression"] += " AND #name BETWEEN :first AND :last"
            request["ExpressionAttributeNames"] = {"#name": "name"}
            request["ExpressionAttributeValues"] |= {":first": {"S": first}, ":last": {"S": last}}
        if after:
            request["ExclusiveStartKey"] = _key(holder, after)
        answer = self._client.query(**request)
        found = tuple((item["name"]["S"], _fields(item)) for item in answer["Items"])
        end = answer.get("LastEvaluatedKey")
        return FieldsPage(found, end["name"]["S"] if end else "")

    def _written(self, call: Any, request: dict[str, Any]) -> bool:
        try:
            call(**request)
        except ClientError as error:
            if error.response["Error"]["Code"] == _RACE_LOST:
                return False
            raise
        return True


def _key(holder: str, name: str) -> dict[str, Any]:
    return {"holder": {"S": holder}, "name": {"S": name}}


def _value(value: Value) -> dict[str, str]:
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def _fields(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Value]:
    return {
        key: value["S"] if "S" in value else int(value["N"])
        for key, value in item.items()
        if key not in KEYS and ("S" in value or "N" in value)
    }


def _condition(expect: Fields) -> dict[str, Any]:
    """Return the condition that the record exists and has these fields."""
    parts = ["attribute_exists(holder)", *(f"#e{n} = :e{n}" for n in range(len(expect)))]
    condition: dict[str, Any] = {"ConditionExpression": " AND ".join(parts)}
    if expect:
        condition["ExpressionAttributeNames"] = {f"#e{n}": key for n, key in enumerate(expect)}
        condition["ExpressionAttributeValues"] = {
            f":e{n}": _value(value) for n, value in enumerate(expect.values())
        }
    return condition
