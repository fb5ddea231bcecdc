"""The SNS topic over which everything is announced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Guard, Note, PlanItem, call
from postamt_sync.bootstrap.ownership import is_ours, listed, mapped, stranger
from postamt_sync.bootstrap.policies import topic_statements
from postamt_sync.bootstrap.stack import Stack

SIGNATURE_VERSION = "2"
"""SHA-256; SNS's default is still SHA-1."""

MISSING = ("NotFound", "NotFoundException")


@dataclass(frozen=True, slots=True)
class TopicResource:
    """Topic, signature version, policy."""

    stack: Stack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"topic {self.stack.name}"

    def plan(self) -> Iterator[PlanItem]:
        ours = topic_statements(self.stack)
        attributes = self._attributes()
        if attributes is None:
            wanted = {
                "Policy": policy_document.text(policy_document.document(*ours)),
                "SignatureVersion": SIGNATURE_VERSION,
            }
            made = call(
                "sns",
                "create_topic",
                Name=self.stack.name,
                Attributes=wanted,
                Tags=listed(self.stack.tags),
            )
            yield Change("create", [made])
            return
        conflict = stranger(self._tags(), self.stack)
        if conflict is not None:
            yield conflict
            return
        version = attributes.get("SignatureVersion", "1")
        if version != SIGNATURE_VERSION:
            put = self._set("SignatureVersion", SIGNATURE_VERSION)
            yield Change(f"signature version: {version} → {SIGNATURE_VERSION}", [put])
        seen = policy_document.parse(attributes.get("Policy"))
        message = ", ".join(policy_document.differences(seen, ours))
        if message:
            merged = policy_document.text(policy_document.with_statements(seen, ours))
            guard = Guard(f"the policy of topic {self.stack.name}", self._read_policy, seen)
            yield Change(f"policy: {message}", [self._set("Policy", merged, guard)])

    def destroy(self) -> Iterator[PlanItem]:
        if self._attributes() is None:
            return
        if is_ours(self._tags(), self.stack):
            yield Change("delete", [call("sns", "delete_topic", TopicArn=self.stack.topic_arn)])
        else:
            yield Note("kept: this stack did not make it")

    def _attributes(self) -> dict[str, str] | None:
        answer = self.aws.read(
            "sns", "get_topic_attributes", missing=MISSING, TopicArn=self.stack.topic_arn
        )
        return None if answer is None else answer["Attributes"]

    def _read_policy(self) -> policy_document.Document | None:
        return policy_document.parse((self._attributes() or {}).get("Policy"))

    def _tags(self) -> dict[str, str]:
        arn = self.stack.topic_arn
        answer = self.aws.read(
            "sns", "list_tags_for_resource", missing=("ResourceNotFound",), ResourceArn=arn
        )
        return mapped((answer or {}).get("Tags", []))

    def _set(self, name: str, value: str, guard: Guard | None = None) -> Call:
        parameters = {
            "TopicArn": self.stack.topic_arn,
            "AttributeName": name,
            "AttributeValue": value,
        }
        return Call("sns", "set_topic_attributes", parameters, guard=guard)
