"""The Lambda function that keeps the index: code, settings, who may call it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem, call
from postamt_sync.bootstrap.policy_document import Statement, same, statements
from postamt_sync.bootstrap.resources.lambda_function import MISSING, RUNTIME, LambdaFunction
from postamt_sync.bootstrap.stack import Stack

SID = "PostamtTopicInvoke"


@dataclass(frozen=True, slots=True)
class FunctionResource:
    """`code` is the zip; unchanged code is not uploaded again."""

    stack: Stack
    aws: AwsClient
    code: bytes = field(repr=False)

    @property
    def title(self) -> str:
        return f"function {self.stack.function}"

    def plan(self) -> Iterator[PlanItem]:
        if (yield from self._function.plan()):
            yield from self._permission()

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
            lambda: [self._permit()],
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

    def _permission(self) -> Iterator[PlanItem]:
        answer = self.aws.read(
            "lambda", "get_policy", missing=MISSING, FunctionName=self.stack.function
        )
        document = json.loads(answer["Policy"]) if answer else None
        ours = next((s for s in statements(document) if s.get("Sid") == SID), None)
        if ours is None:
            yield Change("the topic may call it: create", [self._permit()])
        elif not self._lets_the_topic(ours):
            name = self.stack.function
            remove = call("lambda", "remove_permission", FunctionName=name, StatementId=SID)
            yield Change("the topic may call it: was changed, put right", [remove, self._permit()])

    def _lets_the_topic(self, statement: Statement) -> bool:
        """Tell whether our topic may call, and nobody else's; Lambda chooses the operators."""
        sources = {
            key.lower(): value
            for keys in statement.get("Condition", {}).values()
            for key, value in keys.items()
        }
        return (
            statement.get("Effect") == "Allow"
            and same(statement.get("Principal"), {"Service": "sns.amazonaws.com"})
            and same(sources.get("aws:sourcearn"), self.stack.topic_arn)
        )

    def _permit(self) -> Call:
        return self._function.patient(
            "add_permission",
            StatementId=SID,
            Action="lambda:InvokeFunction",
            Principal="sns.amazonaws.com",
            SourceArn=self.stack.topic_arn,
        )
