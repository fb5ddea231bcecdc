"""A function's log group and its retention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem, call
from postamt_sync.bootstrap.stack_part import StackPart

DAYS = 30


@dataclass(frozen=True, slots=True)
class LogGroupResource:
    """The log group, recognized by its exact name: only our function writes to it."""

    stack: StackPart
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"log group {self.stack.log_group}"

    def plan(self) -> Iterator[PlanItem]:
        group = self._find()
        if group is None:
            made = call(
                "logs",
                "create_log_group",
                logGroupName=self.stack.log_group,
                tags=self.stack.tags,
            )
            yield Change("create", [made, self._keep()])
            return
        kept = group.get("retentionInDays")
        if kept != DAYS:
            yield Change(f"kept for: {kept or 'ever'} → {DAYS} days", [self._keep()])

    def destroy(self) -> Iterator[PlanItem]:
        if self._find() is not None:
            yield Change(
                "delete", [call("logs", "delete_log_group", logGroupName=self.stack.log_group)]
            )

    def _find(self) -> dict[str, Any] | None:
        name = self.stack.log_group
        groups = self.aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
        return next((group for group in groups if group["logGroupName"] == name), None)

    def _keep(self) -> Call:
        return Call(
            "logs",
            "put_retention_policy",
            {"logGroupName": self.stack.log_group, "retentionInDays": DAYS},
            retry_on=("ResourceNotFoundException", "OperationAbortedException"),
        )
