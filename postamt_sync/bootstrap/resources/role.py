"""The IAM role that a function runs with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem, call
from postamt_sync.bootstrap.policies import function_trust
from postamt_sync.bootstrap.policy_document import Document
from postamt_sync.bootstrap.stack_part import StackPart
from postamt_sync.bootstrap.tags import NOT_OURS, is_ours, listed, mapped, stranger

MISSING = ("NoSuchEntity",)


@dataclass(frozen=True, slots=True)
class RoleResource:
    """The role: who may assume it, and what it may do (`policy`)."""

    stack: StackPart
    aws: AwsClient
    description: str
    policy: Document

    @property
    def title(self) -> str:
        return f"role {self.stack.role}"

    def plan(self) -> Iterator[PlanItem]:
        role = self._get()
        if role is None:
            made = call(
                "iam",
                "create_role",
                RoleName=self.stack.role,
                AssumeRolePolicyDocument=policy_document.text(function_trust()),
                Description=self.description,
                Tags=listed(self.stack.tags),
            )
            yield Change("create", [made, self._put_policy()])
            return
        conflict = stranger(mapped(role.get("Tags", [])), self.stack)
        if conflict is not None:
            yield conflict
            return
        if not policy_document.same(role["AssumeRolePolicyDocument"], function_trust()):
            trust = policy_document.text(function_trust())
            fix = call(
                "iam",
                "update_assume_role_policy",
                RoleName=self.stack.role,
                PolicyDocument=trust,
            )
            yield Change("who may assume it: was changed, restore it", [fix])
        held = self.aws.read(
            "iam",
            "get_role_policy",
            missing=MISSING,
            RoleName=self.stack.role,
            PolicyName=self.stack.role,
        )
        if held is None:
            yield Change("policy: create", [self._put_policy()])
        elif not policy_document.same(held["PolicyDocument"], self.policy):
            yield Change("policy: was changed, restore it", [self._put_policy()])

    def destroy(self) -> Iterator[PlanItem]:
        role = self._get()
        if role is None:
            return
        if not is_ours(mapped(role.get("Tags", [])), self.stack):
            yield NOT_OURS
            return
        name = self.stack.role
        held = self.aws.pages("iam", "list_role_policies", "PolicyNames", RoleName=name)
        calls = [call("iam", "delete_role_policy", RoleName=name, PolicyName=p) for p in held]
        yield Change("delete", [*calls, call("iam", "delete_role", RoleName=name)])

    def _get(self) -> dict[str, Any] | None:
        answer = self.aws.read("iam", "get_role", missing=MISSING, RoleName=self.stack.role)
        return None if answer is None else answer["Role"]

    def _put_policy(self) -> Call:
        return Call(
            "iam",
            "put_role_policy",
            {
                "RoleName": self.stack.role,
                "PolicyName": self.stack.role,
                "PolicyDocument": policy_document.text(self.policy),
            },
            retry_on=MISSING,
        )
