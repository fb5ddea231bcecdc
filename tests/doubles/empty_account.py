"""An account with nothing in it that notes every call and sends none: what `apply` would ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call
from postamt_sync.bootstrap.plan import plan
from postamt_sync.bootstrap.policy_document import Document
from postamt_sync.bootstrap.smoke_test import SmokeTest
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_resources import resources
from tests.doubles.account import ACCOUNT
from tests.support.aws_session import aws_session


class EmptyAccount(AwsClient):
    """Has nothing, notes every call, and takes none to anybody."""

    def __init__(self, region: str) -> None:
        super().__init__(aws_session(region=region), region)
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    @property
    def account(self) -> str:
        return ACCOUNT

    def read(
        self, service: str, operation: str, /, *, missing: tuple[str, ...] = (), **parameters: Any
    ) -> dict[str, Any] | None:
        self.calls.append((service, operation, parameters))
        return {} if not missing else None

    def pages(
        self,
        service: str,
        operation: str,
        members: str,
        /,
        *,
        missing: tuple[str, ...] = (),
        **parameters: Any,
    ) -> list[Any]:
        self.calls.append((service, operation, parameters))
        return []

    def write(self, wanted: Call) -> None:
        late = wanted.late() if wanted.late is not None else {}
        self.calls.append((wanted.service, wanted.operation, {**wanted.parameters, **late}))
        if wanted.on_response is not None:
            arn = "arn:aws:sns:eu-west-1:123456789012:t:0"
            wanted.on_response({"QueueUrl": "https://q.example", "SubscriptionArn": arn})


def everything(stack: Stack) -> EmptyAccount:
    """Return an account that was asked for everything of a stack, and for a trial of it."""
    aws = EmptyAccount(stack.region)
    for _, change in plan(resources(stack, aws, Path("/nowhere"))).changes:
        for one in change.calls:
            aws.write(one)
    for user in sorted({p["UserName"] for _, _, p in aws.calls if "UserName" in p}):
        aws.write(Call("iam", "create_access_key", {"UserName": user}))
    ticks = iter((0.0, 0.0, 1.0, 100.0, 100.0))
    SmokeTest(stack, aws, clock=lambda: next(ticks)).announced_within(90)
    return aws


def policies(aws: EmptyAccount) -> Iterator[tuple[str, Document]]:
    """Yield every policy document that was written, each with what it hangs on."""
    for _, _, parameters in aws.calls:
        attributes = parameters.get("Attributes")
        found = {**parameters, **(attributes if isinstance(attributes, dict) else {})}
        owners = ("UserName", "RoleName", "Bucket", "QueueName", "Name")
        owner = next((f"{found[name]}" for name in owners if name in found), "")
        if "AssumeRolePolicyDocument" in found:
            yield f"{owner}, who may be it", json.loads(found["AssumeRolePolicyDocument"])
        for name in ("Policy", "PolicyDocument"):
            if name in found:
                yield owner, json.loads(found[name])
