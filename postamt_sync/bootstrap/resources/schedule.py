"""When the sealing function runs: an EventBridge rule, once a day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem, call
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.bootstrap.tags import NOT_OURS, is_ours, listed, mapped, stranger

WHEN = "cron(17 3 * * ? *)"
"""Every day at 03:17 UTC, after S3's lifecycle has run."""
MISSING = ("ResourceNotFoundException",)
SOON = ("ConcurrentModificationException", *MISSING)
_TARGET = "seal"


@dataclass(frozen=True, slots=True)
class ScheduleResource:
    """The rule and its one target."""

    stack: SealStack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"schedule {self.stack.schedule}"

    def plan(self) -> Iterator[PlanItem]:
        rule = self._get()
        if rule is None:
            yield Change("create: daily", [self._put(Tags=listed(self.stack.tags)), self._aim()])
            return
        conflict = stranger(self._tags(), self.stack)
        if conflict is not None:
            yield conflict
            return
        if (rule.get("ScheduleExpression"), rule.get("State")) != (WHEN, "ENABLED"):
            yield Change("when it runs: was changed, restore it", [self._put()])
        if self._targets() != {_TARGET: self.stack.function_arn}:
            yield Change("what it calls: was changed, restore it", [self._aim()])

    def destroy(self) -> Iterator[PlanItem]:
        if self._get() is None:
            return
        if not is_ours(self._tags(), self.stack):
            yield NOT_OURS
            return
        name = self.stack.schedule
        ids = sorted(self._targets())
        away = [call("events", "remove_targets", Rule=name, Ids=ids)] if ids else []
        yield Change("delete", [*away, call("events", "delete_rule", Name=name)])

    def _get(self) -> dict[str, Any] | None:
        return self.aws.read("events", "describe_rule", missing=MISSING, Name=self.stack.schedule)

    def _tags(self) -> dict[str, str]:
        arn = self.stack.schedule_arn
        answer = self.aws.read("events", "list_tags_for_resource", missing=MISSING, ResourceARN=arn)
        return mapped((answer or {}).get("Tags", []))

    def _targets(self) -> dict[str, str]:
        name = self.stack.schedule
        answer = self.aws.read("events", "list_targets_by_rule", missing=MISSING, Rule=name)
        return {target["Id"]: target["Arn"] for target in (answer or {}).get("Targets", [])}

    def _put(self, **more: Any) -> Call:
        return call(
            "events",
            "put_rule",
            Name=self.stack.schedule,
            ScheduleExpression=WHEN,
            State="ENABLED",
            Description="postamt-sync: seals mail that is old enough",
            **more,
        )

    def _aim(self) -> Call:
        targets = [{"Id": _TARGET, "Arn": self.stack.function_arn}]
        parameters = {"Rule": self.stack.schedule, "Targets": targets}
        return Call("events", "put_targets", parameters, retry_on=SOON)
