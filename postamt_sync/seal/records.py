"""Reading and writing the items of the table `<stack>-seal`, see `mail/seal_table.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from postamt_sync.mail.seal_table import (
    KEY,
    MAIL_PLACE,
    PROVED_AT,
    SETTLED_BEFORE,
    STATE,
    WATERMARK,
    WRITTEN_AT,
    proof_id,
    read_time,
    written_time,
)

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

LONGEST_REST = timedelta(days=2)
"""How long ago the last run of the function may be, which runs daily."""

_NUMBERS = ("sealed", "sealed_total", "backlog", "skipped", "failed", "without_twin")
_TEXTS = (
    *("refused", "reason", "cursor"),
    *("failed_key", "failing_since", "skipped_key", "skipped_reason", "twinless_key"),
    "forgotten",
)


@dataclass(frozen=True, slots=True)
class SettledMail:
    """All mail before `settled_before` is settled at home, as the box said at `written_at`.

    `place` is where that mail is, in the form of `mail_place`; "" if the box did not say it.
    """

    settled_before: datetime
    written_at: datetime
    place: str = ""


@dataclass(frozen=True, slots=True)
class SealState:
    """How the function's last run went. `refused` is why it sealed nothing, "" if all is well.

    `backlog` counts versions that are due and stay plain, as far as there was time to count them;
    `skipped` those that cannot be sealed, `failed` those that an error prevented, and
    `without_twin` those that were tagged to expire and are not sealed. `reason` is one of the
    errors. The next run begins after the key `cursor`. `failed_key` is the mail that has been
    failing longest, since the run at `failing_since` (a time in the form of the items);
    `skipped_key` and `twinless_key` are examples of the others. `forgotten` is the last sealed key
    that the index was told of, "all" at the end.
    """

    ran_at: datetime
    sealed: int = 0
    sealed_total: int = 0
    backlog: int = 0
    skipped: int = 0
    failed: int = 0
    without_twin: int = 0
    refused: str = ""
    reason: str = ""
    cursor: str = ""
    failed_key: str = ""
    failing_since: str = ""
    skipped_key: str = ""
    skipped_reason: str = ""
    twinless_key: str = ""
    forgotten: str = ""


class SealRecords:
    """The table of one stack. Each call is one consistent request, and raises what boto3 raises."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def watermark(self) -> SettledMail | None:
        """Return what the box said last; None if it never did, or if it cannot be read."""
        item = self._get(WATERMARK)
        before = read_time(_text(item, SETTLED_BEFORE))
        written = read_time(_text(item, WRITTEN_AT))
        place = _text(item, MAIL_PLACE)
        return SettledMail(before, written, place) if before and written else None

    def move_watermark(self, settled_before: datetime, now: datetime, place: str) -> None:
        """Store what the box says. It may also move back, if older mail is open again."""
        self._dynamodb.update_item(
            TableName=self._table,
            Key={KEY: {"S": WATERMARK}},
            UpdateExpression=(
                f"SET {SETTLED_BEFORE} = :mark, {WRITTEN_AT} = :now, {MAIL_PLACE} = :place"
            ),
            ExpressionAttributeValues={
                ":mark": {"S": written_time(settled_before)},
                ":now": {"S": written_time(now)},
                ":place": {"S": place},
            },
        )

    def is_proved(self, fingerprints: Iterable[str]) -> bool:
        """Tell whether a person has proved to be able to open mail for this set of keys."""
        return is_proof(self._get(proof_id(fingerprints)))

    def prove(self, fingerprints: Iterable[str], now: datetime) -> None:
        """Store that a person has proved it. It is never taken back."""
        named = sorted(set(fingerprints))
        self._dynamodb.put_item(
            TableName=self._table,
            Item={
                KEY: {"S": proof_id(named)},
                PROVED_AT: {"S": written_time(now)},
                "fingerprints": {"S": " ".join(named)},
            },
        )

    def state(self) -> SealState | None:
        """Return how the function's last run went; None if it never ran."""
        return state_of(self._get(STATE))

    def write_state(self, state: SealState) -> None:
        """Store how a run went, replacing the previous one; `sealed_total` is added up here."""
        values = {f":{name}": {"N": str(getattr(state, name))} for name in _NUMBERS}
        del values[":sealed_total"]
        values |= {f":{name}": {"S": getattr(state, name)} for name in _TEXTS}
        values[":ran_at"] = {"S": written_time(state.ran_at)}
        sets = ", ".join(f"#{value[1:]} = {value}" for value in values)
        self._dynamodb.update_item(
            TableName=self._table,
            Key={KEY: {"S": STATE}},
            UpdateExpression=f"SET {sets} ADD #sealed_total :sealed",
            ExpressionAttributeNames={
                "#sealed_total": "sealed_total",
                **{f"#{value[1:]}": value[1:] for value in values},
            },
            ExpressionAttributeValues=values,
        )

    def _get(self, key: str) -> Mapping[str, Any]:
        answer = self._dynamodb.get_item(
            TableName=self._table, Key={KEY: {"S": key}}, ConsistentRead=True
        )
        item: Mapping[str, Any] = answer.get("Item", {})
        return item


def _text(item: Mapping[str, Any], name: str) -> str:
    return str(item.get(name, {}).get("S", ""))


def is_proof(item: Mapping[str, Any]) -> bool:
    """Tell whether an item is a proof. An empty one, which does not exist, is not."""
    return bool(_text(item, PROVED_AT))


def state_of(item: Mapping[str, Any]) -> SealState | None:
    """Return the function's state from its item, None if there is none."""
    ran_at = read_time(_text(item, "ran_at"))
    if ran_at is None:
        return None
    numbers = {name: int(item.get(name, {}).get("N", "0")) for name in _NUMBERS}
    texts = {name: _text(item, name) for name in _TEXTS}
    return SealState(ran_at=ran_at, **numbers, **texts)  # type: ignore[arg-type]
