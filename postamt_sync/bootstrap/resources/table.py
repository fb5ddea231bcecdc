"""The DynamoDB tables: the index, the mailboxes' lists, the webmail's records, sealing's state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, Note, PlanItem, call
from postamt_sync.bootstrap.policy_document import same
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import StackPart
from postamt_sync.bootstrap.tags import NOT_OURS, is_ours, listed, mapped, stranger
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.mail.seal_table import KEY
from postamt_sync.webmail.record_table import ENDS_AT, KEYS

MISSING = ("ResourceNotFoundException", "TableNotFoundException")
BUSY = ("ContinuousBackupsUnavailableException", "ResourceInUseException", "LimitExceededException")
"""Errors of a table that DynamoDB is still creating or changing."""
ENDING = frozenset({"ENABLED", "ENABLING"})

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
    """The design of one kind of table. All key attributes are strings.

    `kept`: its contents could not be rebuilt, so it has point-in-time recovery and deletion
    protection. `ends_at`: the attribute with the time at which an item expires. `loss`: what
    deleting the table means for people.
    """

    key: tuple[str, ...]
    indexes: tuple[dict[str, Any], ...] = ()
    kept: bool = False
    ends_at: str = ""
    loss: str = ""

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
LISTS = TableKind(("list", "line"))
"""Can be rebuilt from the index and the bucket: `bootstrap reindex`."""
RECORDS = TableKind(KEYS, ends_at=ENDS_AT, loss="nobody can sign in any more")

SEAL = TableKind((KEY,), loss="the proof that you can open what is sealed is lost")


def index_table(stack: Stack, aws: AwsClient, delete_mail: str = "") -> TableResource:
    """Return the index: destroyed only with the mail, if `delete_mail` is the bucket's name."""
    also = f"kept, as the mail is; --delete-mail {stack.bucket} deletes it too"
    stays = "" if delete_mail == stack.bucket else also
    return TableResource(stack, aws, stack.table, INDEX, stays)


def lists_table(stack: Stack, aws: AwsClient) -> TableResource:
    return TableResource(stack, aws, stack.lists, LISTS)


def records_table(stack: WebmailStack, aws: AwsClient) -> TableResource:
    """Return the webmail's own table: sign-ins, sessions, marks and drafts."""
    return TableResource(stack, aws, stack.table, RECORDS)


def seal_table(stack: SealStack, aws: AwsClient) -> TableResource:
    """Return the table through which the box and the sealing function communicate."""
    return TableResource(stack, aws, stack.table, SEAL)


@dataclass(frozen=True, slots=True)
class TableResource:
    """A table, billed on demand. `stays` is the note that says why it is not destroyed; "" if it
    is."""

    stack: StackPart
    aws: AwsClient
    name: str
    kind: TableKind
    stays: str = ""

    @property
    def title(self) -> str:
        return f"table {self.name}"

    def plan(self) -> Iterator[PlanItem]:
        table = self._describe()
        if table is None:
            yield Change("create", [self._create()])
        elif table.get("TableStatus") == "DELETING":
            yield Conflict("it is being deleted.", "Wait a minute, and run it again.")
            return
        else:
            conflict = stranger(self._tags(), self.stack) or _other_key(table, self.kind)
            if conflict is not None:
                yield conflict
                return
            yield from self._mended(table)
        there = table is not None
        if self.kind.kept and not (there and self._is_recoverable()):
            yield Change("point-in-time recovery: off → on", [self._recoverable()])
        if self.kind.ends_at and not (there and self._ends()):
            yield Change("expiry of records: off → on", [self._ending()])

    def _mended(self, table: dict[str, Any]) -> Iterator[PlanItem]:
        """Yield the differences from what `_create` would have set."""
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
        if self.kind.kept and not table.get("DeletionProtectionEnabled"):
            yield Change(
                "deletion protection: off → on", [self._update(DeletionProtectionEnabled=True)]
            )

    def destroy(self) -> Iterator[PlanItem]:
        table = self._describe()
        if table is None or table.get("TableStatus") == "DELETING":
            return
        if not is_ours(self._tags(), self.stack):
            yield NOT_OURS
        elif self.stays:
            yield Note(self.stays)
        else:
            calls = [Call("dynamodb", "delete_table", {"TableName": self.name}, retry_on=BUSY)]
            if table.get("DeletionProtectionEnabled"):
                calls.insert(0, self._update(DeletionProtectionEnabled=False))
            yield Change(f"delete: {self.kind.loss}" if self.kind.loss else "delete", calls)

    def is_there(self) -> bool:
        return self._describe() is not None

    def _describe(self) -> dict[str, Any] | None:
        answer = self.aws.read("dynamodb", "describe_table", missing=MISSING, TableName=self.name)
        return None if answer is None else answer["Table"]

    def _tags(self) -> dict[str, str]:
        arn = self.stack.arn_of_table(self.name)
        answer = self.aws.read(
            "dynamodb", "list_tags_of_resource", missing=MISSING, ResourceArn=arn
        )
        return mapped((answer or {}).get("Tags", []))

    def _is_recoverable(self) -> bool:
        answer = self.aws.read(
            "dynamodb",
            "describe_continuous_backups",
            missing=MISSING,  # as DynamoDB reports a table that it is still creating
            TableName=self.name,
        )
        backups = (answer or {}).get("ContinuousBackupsDescription", {})
        recovery = backups.get("PointInTimeRecoveryDescription", {})
        return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")

    def _ends(self) -> bool:
        answer = self.aws.read(
            "dynamodb", "describe_time_to_live", missing=MISSING, TableName=self.name
        )
        told = (answer or {}).get("TimeToLiveDescription", {})
        on = told.get("TimeToLiveStatus") in ENDING
        return bool(on and told.get("AttributeName") == self.kind.ends_at)

    def _create(self) -> Call:
        indexes = {"GlobalSecondaryIndexes": list(self.kind.indexes)} if self.kind.indexes else {}
        return call(
            "dynamodb",
            "create_table",
            TableName=self.name,
            AttributeDefinitions=self.kind.attributes,
            KeySchema=self.kind.schema,
            **indexes,
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=self.kind.kept,
            Tags=listed(self.stack.tags),
        )

    def _recoverable(self) -> Call:
        parameters = {
            "TableName": self.name,
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        }
        return Call("dynamodb", "update_continuous_backups", parameters, retry_on=(*BUSY, *MISSING))

    def _ending(self) -> Call:
        ends = {"Enabled": True, "AttributeName": self.kind.ends_at}
        parameters = {"TableName": self.name, "TimeToLiveSpecification": ends}
        return Call("dynamodb", "update_time_to_live", parameters, retry_on=(*BUSY, *MISSING))

    def _update(self, **parameters: Any) -> Call:
        named = {"TableName": self.name, **parameters}
        return Call("dynamodb", "update_table", named, retry_on=BUSY)


def _other_key(table: dict[str, Any], kind: TableKind) -> Conflict | None:
    if same(table.get("KeySchema"), kind.schema):
        return None
    return Conflict(
        f"its key is not {' and '.join(kind.key)}.",
        "Choose another stack.name, or delete the table.",
    )
