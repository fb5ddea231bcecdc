"""How an item of the index is written: only if it is still as it was read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from botocore.exceptions import ClientError

from postamt_sync.index.item import Item

_RACE_LOST = frozenset({"ConditionalCheckFailedException", "TransactionConflictException"})
_CANCELLED_BY = frozenset({"ConditionalCheckFailed", "TransactionConflict"})


def entry_update(
    table: str, wanted: Item, over: Mapping[str, Any], without: Collection[str] = ()
) -> dict[str, Any]:
    """Return the parameters of UpdateItem that set `wanted` and take out `without`.

    They hold only where the item is as it was read, `over`; {} where there was none. Attributes
    that are not the index's stay as they are.
    """
    names = sorted((wanted.keys() | {name for name in without if name in over}) - {"message_id"})
    sets = [f"#{n} = :{n}" for n, name in enumerate(names) if name in wanted]
    removes = [f"#{n}" for n, name in enumerate(names) if name not in wanted]
    values = {f":{n}": wanted[name] for n, name in enumerate(names) if name in wanted}
    conditions = []
    for name in ("digest", "listed") if over else ("message_id",):
        if name in over:
            conditions.append(f"{name} = :read_{name}")
            values[f":read_{name}"] = over[name]
        else:
            conditions.append(f"attribute_not_exists({name})")
    return {
        "TableName": table,
        "Key": {"message_id": wanted["message_id"]},
        "UpdateExpression": f"SET {', '.join(sets)}"
        + (f" REMOVE {', '.join(removes)}" if removes else ""),
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": {f"#{n}": name for n, name in enumerate(names)},
        "ExpressionAttributeValues": values,
    }


def race_lost(error: ClientError) -> bool:
    """Tell whether a write failed because someone else was faster."""
    if error.response["Error"]["Code"] in _RACE_LOST:
        return True
    reasons: Any = error.response.get("CancellationReasons", [])
    return any(reason.get("Code") in _CANCELLED_BY for reason in reasons)
