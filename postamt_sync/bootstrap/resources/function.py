"""The Lambda function that maintains the index: its code, settings, and who may call it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import PlanItem
from postamt_sync.bootstrap.resources.invoke_permission import InvokePermission
from postamt_sync.bootstrap.resources.lambda_function import RUNTIME, LambdaFunction
from postamt_sync.bootstrap.stack import Stack

SID = "PostamtTopicInvoke"


@dataclass(frozen=True, slots=True)
class FunctionResource:
    """The function. `code` is the zip; unchanged code is not uploaded again."""

    stack: Stack
    aws: AwsClient
    code: bytes = field(repr=False)

    @property
    def title(self) -> str:
        return f"function {self.stack.function}"

    def plan(self) -> Iterator[PlanItem]:
        if (yield from self._function.plan()):
            yield from self._permission.plan()

    def destroy(self) -> Iterator[PlanItem]:
        yield from self._function.destroy()

    @property
    def _function(self) -> LambdaFunction:
        return LambdaFunction(
            self.stack,
            self.aws,
            "postamt-sync: keeps the index of mail",
            self._settings,
            self.code,
            lambda: [self._permission.permit()],
        )

    @property
    def _settings(self) -> dict[str, Any]:
        stack = self.stack
        return {
            "Runtime": RUNTIME,
            "Handler": "postamt_sync.index.function.handle",
            "Role": stack.role_arn,
            "Timeout": 30,
            "MemorySize": 256,
            "Environment": {
                "Variables": {
                    "TABLE": stack.table,
                    "BUCKET": stack.bucket,
                    "PREFIX": stack.prefix,
                    **({"LISTS": stack.lists} if stack.handed else {}),
                    **({"KMS": "on"} if stack.kms else {}),
                }
            },
            "DeadLetterConfig": {"TargetArn": stack.queue_arn(stack.index_dead_letter_queue)},
        }

    @property
    def _permission(self) -> InvokePermission:
        stack = self.stack
        service = "sns.amazonaws.com"
        return InvokePermission(
            self.aws, stack.function, SID, service, stack.topic_arn, "the topic"
        )
