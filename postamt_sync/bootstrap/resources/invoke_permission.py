"""Who may call a function: one AWS service, on behalf of one of our resources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem, call
from postamt_sync.bootstrap.policy_document import Statement, same, statements
from postamt_sync.bootstrap.resources.lambda_function import BUSY, MISSING


@dataclass(frozen=True, slots=True)
class InvokePermission:
    """The statement `sid` of a function's policy. `who` names the caller in words: "the topic"."""

    aws: AwsClient
    function: str
    sid: str
    service: str
    source_arn: str
    who: str

    def plan(self) -> Iterator[PlanItem]:
        """Yield the differences; the function must exist."""
        answer = self.aws.read("lambda", "get_policy", missing=MISSING, FunctionName=self.function)
        document = json.loads(answer["Policy"]) if answer else None
        ours = next((s for s in statements(document) if s.get("Sid") == self.sid), None)
        if ours is None:
            yield Change(f"{self.who} may call it: create", [self.permit()])
        elif not lets(ours, self.service, self.source_arn):
            remove = call(
                "lambda", "remove_permission", FunctionName=self.function, StatementId=self.sid
            )
            calls = [remove, self.permit()]
            yield Change(f"{self.who} may call it: was changed, restore it", calls)

    def permit(self) -> Call:
        """Return the call that grants it, retried until Lambda has finished the last change."""
        parameters = {
            "FunctionName": self.function,
            "StatementId": self.sid,
            "Action": "lambda:InvokeFunction",
            "Principal": self.service,
            "SourceArn": self.source_arn,
        }
        return Call("lambda", "add_permission", parameters, retry_on=BUSY)


def lets(statement: Statement, service: str, source_arn: str) -> bool:
    """Whether the statement lets the service call on behalf of this source and no other. Lambda
    chooses the condition's operator."""
    sources = {
        key.lower(): value
        for keys in statement.get("Condition", {}).values()
        for key, value in keys.items()
    }
    return (
        statement.get("Effect") == "Allow"
        and same(statement.get("Principal"), {"Service": service})
        and same(sources.get("aws:sourcearn"), source_arn)
    )
