"""The webmail's own table: who may sign in, sessions, marks and drafts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, Note, PlanItem, call
from postamt_sync.bootstrap.policy_document import same
from postamt_sync.bootstrap.resources.table import BUSY, MISSING
from postamt_sync.bootstrap.tags import is_ours, listed, mapped, stranger
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.webmail.record_table import ENDS_AT, KEYS

KEY = [
    {"AttributeName": name, "KeyType": kind}
    for name, kind in zip(KEYS, ("HASH", "RANGE"), strict=True)
]
ON = frozenset({"ENABLED", "ENABLING"})


@dataclass(frozen=True, slots=True)
class WebmailTableResource:
    """On demand, its records end by themselves. It goes with the webmail: it has no mail in it."""

    stack: WebmailStack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"table {self.stack.table}"

    def plan(self) -> Iterator[PlanItem]:
        table = self._describe()
        if table is None:
            yield Change("create", [self._create()])
            yield Change("records end by themselves: off → on", [self._end()])
            return
        if table.get("TableStatus") == "DELETING":
            yield Conflict("it is being deleted.", "Wait a minute, and run it again.")
            return
        conflict = stranger(self._tags(), self.stack)
        if conflict is None and not same(table.get("KeySchema"), KEY):
            conflict = Conflict(
                f"its keys are not {' and '.join(KEYS)}.",
                "Choose another stack.name, or delete the table.",
            )
        if conflict is not None:
            yield conflict
            return
        mode = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
        if mode != "PAY_PER_REQUEST":
            update = {"TableName": self.stack.table, "BillingMode": "PAY_PER_REQUEST"}
            yield Change(
                "billing: provisioned → on demand",
                [Call("dynamodb", "update_table", update, retry_on=BUSY)],
            )
        if not self._ends():
            yield Change("records end by themselves: off → on", [self._end()])

    def destroy(self) -> Iterator[PlanItem]:
        table = self._describe()
        if table is None or table.get("TableStatus") == "DELETING":
            return
        if not is_ours(self._tags(), self.stack):
            yield Note("kept: this stack did not make it")
            return
        named = {"TableName": self.stack.table}
        calls = [Call("dynamodb", "delete_table", named, retry_on=BUSY)]
        if table.get("DeletionProtectionEnabled"):
            off = {**named, "DeletionProtectionEnabled": False}
            calls.insert(0, Call("dynamodb", "update_table", off, retry_on=BUSY))
        yield Change("delete: nobody can sign in any more", calls)

    def is_there(self) -> bool:
        return self._describe() is not None

    def _describe(self) -> dict[str, Any] | None:
        answer = self.aws.read(
            "dynamodb", "describe_table", missing=MISSING, TableName=self.stack.table
        )
        return None if answer is None else answer["Table"]

    def _tags(self) -> dict[str, str]:
        answer = self.aws.read(
            "dynamodb",
            "list_tags_of_resource",
            missing=MISSING,
            ResourceArn=self.stack.table_arn,
        )
        return mapped((answer or {}).get("Tags", []))

    def _ends(self) -> bool:
        answer = self.aws.read(
            "dynamodb", "describe_time_to_live", missing=MISSING, TableName=self.stack.table
        )
        told = (answer or {}).get("TimeToLiveDescription", {})
        return told.get("TimeToLiveStatus") in ON and told.get("AttributeName") == ENDS_AT

    def _create(self) -> Call:
        return call(
            "dynamodb",
            "create_table",
            TableName=self.stack.table,
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in KEYS],
            KeySchema=KEY,
            BillingMode="PAY_PER_REQUEST",
            Tags=listed(self.stack.tags),
        )

    def _end(self) -> Call:
        ends = {"Enabled": True, "AttributeName": ENDS_AT}
        parameters = {"TableName": self.stack.table, "TimeToLiveSpecification": ends}
        return Call("dynamodb", "update_time_to_live", parameters, retry_on=(*BUSY, *MISSING))
