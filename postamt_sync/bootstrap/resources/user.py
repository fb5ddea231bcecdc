"""An IAM user: `sync` for the box at home; for sending, one shared by all, or one per mailbox."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, PlanItem, call
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.tags import NOT_OURS, is_ours, listed, mapped, stranger

MISSING = ("NoSuchEntity",)

FORMER = "postamt:former-since"
"""The tag of a user that the configuration no longer asks for, but that may still be in use."""

LONGEST_POLICIES = 2_048
"""Characters in all inline policies of a user, not counting white space (IAM User Guide,
"Quotas")."""


@dataclass(frozen=True, slots=True)
class UserResource:
    """The user and what it may do; its access key is another resource."""

    stack: Stack
    aws: AwsClient
    name: str
    may: policy_document.Document

    @property
    def title(self) -> str:
        return f"user {self.name}"

    def plan(self) -> Iterator[PlanItem]:
        user = self._get()
        if len(policy_document.text(self.may)) > LONGEST_POLICIES:
            yield Conflict(
                f"its policy would have {len(policy_document.text(self.may))} characters, and IAM "
                f"takes {LONGEST_POLICIES}: too many addresses are to be told apart.",
                "Give the mailbox fewer addresses, a whole domain instead of many in it, or let "
                "all mailboxes share a user: smtp_per_mailbox = false in [stack].",
            )
            return
        if user is None:
            made = call("iam", "create_user", UserName=self.name, Tags=listed(self.stack.tags))
            yield Change("create", [made, self._put_policy()])
            return
        conflict = stranger(mapped(user.get("Tags", [])), self.stack)
        if conflict is not None:
            yield conflict
            return
        if FORMER in mapped(user.get("Tags", [])):
            unmark = call("iam", "untag_user", UserName=self.name, TagKeys=[FORMER])
            yield Change("wanted again: unmark", [unmark])
        held = self.aws.read(
            "iam", "get_user_policy", missing=MISSING, UserName=self.name, PolicyName=self.name
        )
        if held is None:
            yield Change("policy: create", [self._put_policy()])
        elif not policy_document.same(held["PolicyDocument"], self.may):
            yield Change("policy: was changed, restore it", [self._put_policy()])

    def destroy(self) -> Iterator[PlanItem]:
        user = self._get()
        if user is None:
            return
        if not is_ours(mapped(user.get("Tags", [])), self.stack):
            yield NOT_OURS
            return
        yield Change("delete, with its keys", removal(self.aws, self.name))

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


def removal(aws: AwsClient, name: str) -> list[Call]:
    """Return the calls that delete a user, and first everything that it has."""
    keys = aws.pages("iam", "list_access_keys", "AccessKeyMetadata", UserName=name)
    held = aws.pages("iam", "list_user_policies", "PolicyNames", UserName=name)
    return [
        *(
            call("iam", "delete_access_key", UserName=name, AccessKeyId=key["AccessKeyId"])
            for key in keys
        ),
        *(call("iam", "delete_user_policy", UserName=name, PolicyName=p) for p in held),
        call("iam", "delete_user", UserName=name),
    ]
