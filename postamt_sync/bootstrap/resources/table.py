"""The DynamoDB tables of mail: the index, one item a mail, and the lists of the mailboxes."""

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

BY_RECEIVED: dict[str, Any] = {
    "IndexName": "by_received",
    "KeySchema": [
        {"AttributeName": "month", "KeyType": "HASH"},
        {"AttributeName": "received_at", "KeyType": "RANGE"},
    ],
    "Projection": {"ProjectionType": "ALL"},
}


@dataclass(frozen=True, slots=True)
class TableKind:
    """What tables of one kind are like. All attributes of keys are strings.

    `kept`: it holds what nothing else could tell again, so it can be recovered to any point in
    time, is protected, and is destroyed only with the mail.
    """

    key: tuple[str, ...]
    indexes: tuple[dict[str, Any], ...]
    kept: bool

    @property
    def schema(self) -> list[dict[str, str]]:
        kinds = ("HASH", "RANGE")
        return [
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(self.key, kinds, strict=False)
        ]

    @property
    def attributes(self) -> list[dict[str, str]]:
        of_indexes = (key["AttributeName"] for i in self.indexes for key in i["KeySchema"])
        return [{"AttributeName": n, "AttributeType": "S"} for n in (*self.key, *of_indexes)]


INDEX = TableKind(("message_id",), (BY_RECEIVED,), kept=True)
LISTS = TableKind(("list", "line"), (), kept=False)
"""`bootstrap reindex` fills it from the index and the bucket."""


@dataclass(frozen=True, slots=True)
class TableResource:
    """On demand; the index, unless another `kind` is named."""

    stack: Stack
    aws: AwsClient
    delete_mail: str = ""
    kind: TableKind = INDEX

    @property
    def title(self) -> str:
        return f"table {self._name}"

    @property
    def _name(self) -> str:
        return self.stack.table if self.kind is INDEX else self.stack.lists

    @property
    def _arn(self) -> str:
        return self.stack.table_arn if self.kind is INDEX else self.stack.lists_arn

    def plan(self) -> Iterator[PlanItem]:
        table = self._describe()
        if table is None:
            yield Change("create", [self._create()])
            if self.kind.kept:
                yield Change("point-in-time recovery: off → on", [self._recoverable()])
            return
        if table.get("TableStatus") == "DELETING":
            yield Conflict("it is being deleted.", "Wait a minute, and run it again.")
            return
        conflict = stranger(self._tags(), self.stack) or _other_key(table, self.kind)
        if conflict is not None:
            yield conflict
            return
        mode = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
        if mode != "PAY_PER_REQUEST":
            yield Change(
                "billing: provisioned → on demand", [self._update(BillingMode="PAY_PER_REQUEST")]
            )
        indexes = {index["IndexName"] for index in table.get("GlobalSecondaryIndexes", [])}
        for index in self.kind.indexes:
            if index["IndexName"] not in indexes:
                made = self._update(
                    AttributeDefinitions=self.kind.attributes,
                    GlobalSecondaryIndexUpdates=[{"Create": index}],
                )
                yield Change(f"index {index['IndexName']}: create", [made])
        if self.kind.kept:
            yield from self._kept(table)

    def _kept(self, table: dict[str, Any]) -> Iterator[PlanItem]:
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
        elif not self.kind.kept or self.delete_mail == self.stack.bucket:
            parameters = {"TableName": self._name}
            calls = [Call("dynamodb", "delete_table", parameters, retry_on=BUSY)]
            if table.get("DeletionProtectionEnabled"):
                calls.insert(0, self._update(DeletionProtectionEnabled=False))
            yield Change("delete", calls)
        else:
            yield Note(f"kept, as the mail is; --delete-mail {self.stack.bucket} deletes it too")

    def _describe(self) -> dict[str, Any] | None:
        answer = self.aws.read("dynamodb", "describe_table", missing=MISSING, TableName=self._name)
        return None if answer is None else answer["Table"]

    def _tags(self) -> dict[str, str]:
        arn = self._arn
        answer = self.aws.read(
            "dynamodb", "list_tags_of_resource", missing=MISSING, ResourceArn=arn
        )
        return mapped((answer or {}).get("Tags", []))

    def _is_recoverable(self) -> bool:
        answer = self.aws.read(
            "dynamodb",
            "describe_continuous_backups",
            missing=MISSING,  # which DynamoDB says of a table that it is still making
            TableName=self._name,
        )
        backups = (answer or {}).get("ContinuousBackupsDescription", {})
        recovery = backups.get("PointInTimeRecoveryDescription", {})
        return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")

    def _create(self) -> Call:
        indexes = {"GlobalSecondaryIndexes": list(self.kind.indexes)} if self.kind.indexes else {}
        return call(
            "dynamodb",
            "create_table",
            TableName=self._name,
            AttributeDefinitions=self.kind.attributes,
            KeySchema=self.kind.schema,
            **indexes,
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=self.kind.kept,
            Tags=listed(self.stack.tags),
        )

    def _recoverable(self) -> Call:
        parameters = {
            "TableName": self._name,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        }
        return Call("dynamodb", "update_continuous_backups", parameters, retry_on=(*BUSY, *MISSING))

    def _update(self, **parameters: Any) -> Call:
        named = {"TableName": self._name, **parameters}
        return Call("dynamodb", "update_table", named, retry_on=BUSY)


def _other_key(table: dict[str, Any], kind: TableKind) -> Conflict | None:
    if same(table.get("KeySchema"), kind.schema):
        return None
    return Conflict(
        f"its key is not {' and '.join(kind.key)}.",
        "Choose another stack.name, or delete the table.",
    )
