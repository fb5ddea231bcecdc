"""The DynamoDB table of the index: one item a mail, and mails by the time they were received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, Note, PlanItem, call
from postamt_sync.bootstrap.policy_document import same
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.tags import is_ours, listed, mapped, stranger

MISSING = ("ResourceNotFoundException", "TableNotFoundException")
BUSY = ("ContinuousBackupsUnavailableException", "ResourceInUseException", "LimitExceededException")
"""What DynamoDB says of a table that it is still making or changing."""

KEY = [{"AttributeName": "message_id", "KeyType": "HASH"}]
BY_RECEIVED: dict[str, Any] = {
    "IndexName": "by_received",
    "KeySchema": [
        {"AttributeName": "month", "KeyType": "HASH"},
        {"AttributeName": "received_at", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "ALL"},
}
ATTRIBUTES = [
    {"AttributeName": name, "AttributeType": "S"} for name in ("message_id", "month", "received_at")
]


@dataclass(frozen=True, slots=True)
class TableResource:
    """On demand, recoverable to any point in time, protected; destroyed only with the mail."""

    stack: Stack
    aws: AwsClient
    delete_mail: str = ""

    @property
    def title(self) -> str:
        return f"table {self.stack.table}"

    def plan(self) -> Iterator[PlanItem]:
        table = self._describe()
        if table is None:
            yield Change("create", [self._create()])
            yield Change("point-in-time recovery: off → on", [self._recoverable()])
            return
        if table.get("TableStatus") == "DELETING":
            yield Conflict("it is being deleted.", "Wait a minute, and run it again.")
            return
        conflict = stranger(self._tags(), self.stack) or _other_key(table)
        if conflict is not None:
            yield conflict
            return
        mode = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
        if mode != "PAY_PER_REQUEST":
            yield Change(
                "billing: provisioned → on demand", [self._update(BillingMode="PAY_PER_REQUEST")]
            )
        indexes = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
        if BY_RECEIVED["IndexName"] not in indexes:
            made = self._update(
                AttributeDefinitions=ATTRIBUTES,
                GlobalSecondaryIndexUpdates=[{"Create": BY_RECEIVED}],
            )
            yield Change(f"index {BY_RECEIVED['IndexName']}: create", [made])
        if not table.get("DeletionProtectionEnabled"):
            yield Change(
                "deletion protection: off → on", [self._update(DeletionProtectionEnabled=True)]
            )
        if not self._is_recoverable():
            yield Change("point-in-time recovery: off → on", [self._recoverable()])

    def destroy(self) -> Iterator[PlanItem]:
        table = self._describe()
        if table is None or table.get("TableStatus") == "DELETING":
            return
        if not is_ours(self._tags(), self.stack):
            yield Note("kept: this stack did not make it")
        elif self.delete_mail == self.stack.bucket:
            parameters = {"TableName": self.stack.table}
            calls = [Call("dynamodb", "delete_table", parameters, retry_on=BUSY)]
            if table.get("DeletionProtectionEnabled"):
                calls.insert(0, self._update(DeletionProtectionEnabled=False))
            yield Change("delete", calls)
        else:
            yield Note(f"kept, as the mail is; --delete-mail {self.stack.bucket} deletes it too")

    def _describe(self) -> dict[str, Any] | None:
        answer = self.aws.read(
            "dynamodb", "describe_table", missing=MISSING, TableName=self.stack.table
        )
        return None if answer is None else answer["Table"]

    def _tags(self) -> dict[str, str]:
        arn = self.stack.table_arn
        answer = self.aws.read(
            "dynamodb", "list_tags_of_resource", missing=MISSING, ResourceArn=arn
        )
        return mapped((answer or {}).get("Tags", []))

    def _is_recoverable(self) -> bool:
        answer = self.aws.read(
            "dynamodb",
            "describe_continuous_backups",
            missing=MISSING,  # which DynamoDB says of a table that it is still making
            TableName=self.stack.table,
        )
        backups = (answer or {}).get("ContinuousBackupsDescription", {})
        recovery = backups.get("PointInTimeRecoveryDescription", {})
        return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")

    def _create(self) -> Call:
        return call(
            "dynamodb",
            "create_table",
            TableName=self.stack.table,
            AttributeDefinitions=ATTRIBUTES,
            KeySchema=KEY,
            GlobalSecondaryIndexes=[BY_RECEIVED],
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=True,
            Tags=listed(self.stack.tags),
        )

    def _recoverable(self) -> Call:
        parameters = {
            "TableName": self.stack.table,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        }
        return Call("dynamodb", "update_continuous_backups", parameters, retry_on=(*BUSY, *MISSING))

    def _update(self, **parameters: Any) -> Call:
        named = {"TableName": self.stack.table, **parameters}
        return Call("dynamodb", "update_table", named, retry_on=BUSY)


def _other_key(table: dict[str, Any]) -> Conflict | None:
    if same(table.get("KeySchema"), KEY):
        return None
    return Conflict("its key is not message_id.", "Choose another stack.name, or delete the table.")
