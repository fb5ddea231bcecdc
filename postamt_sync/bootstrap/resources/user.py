"""An IAM user: `sync` for the box at home, `smtp` for the people's mail clients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Note, PlanItem, call
from postamt_sync.bootstrap.stack import Stack, is_ours, listed, mapped, stranger

MISSING = ("NoSuchEntity",)


@dataclass(frozen=True, slots=True)
class UserResource:
    """User and what it may do; its keys are another resource."""

    stack: Stack
    aws: AwsClient
    name: str
    may: policy_document.Document

    @property
    def title(self) -> str:
        return f"user {self.name}"

    def plan(self) -> Iterator[PlanItem]:
        user = self._get()
        if user is None:
            made = call("iam", "create_user", UserName=self.name, Tags=listed(self.stack.tags))
            yield Change("create", [made, self._put_policy()])
            return
        conflict = stranger(mapped(user.get("Tags", [])), self.stack)
        if conflict is not None:
            yield conflict
            return
        held = self.aws.read(
            "iam", "get_user_policy", missing=MISSING, UserName=self.name, PolicyName=self.name
        )
        if held is None:
            yield Change("policy: create", [self._put_policy()])
        elif not policy_document.same(held["PolicyDocument"], self.may):
            yield Change("policy: was changed, put right", [self._put_policy()])

    def destroy(self) -> Iterator[PlanItem]:
        user = self._get()
        if user is None:
            return
        if not is_ours(mapped(user.get("Tags", [])), self.stack):
            yield Note("kept: this stack did not make it")
            return
        name = self.name
        keys = self.aws.pages("iam", "list_access_keys", "AccessKeyMetadata", UserName=name)
        held = self.aws.pages("iam", "list_user_policies", "PolicyNames", UserName=name)
        calls = [
            call("iam", "delete_access_key", UserName=name, AccessKeyId=key["AccessKeyId"])
            for key in keys
        ]
        calls += [call("iam", "delete_user_policy", UserName=name, PolicyName=p) for p in held]
        yield Change("delete, with its keys", [*calls, call("iam", "delete_user", UserName=name)])

    def _get(self) -> dict[str, Any] | None:
        answer = self.aws.read("iam", "get_user", missing=MISSING, UserName=self.name)
        return None if answer is None else answer["User"]

    def _put_policy(self) -> Call:
        return Call(
            "iam",
            "put_user_policy",
            {
                "UserName": self.name,
                "PolicyName": self.name,
                "PolicyDocument": policy_document.text(self.may),
            },
            retry_on=MISSING,
        )
