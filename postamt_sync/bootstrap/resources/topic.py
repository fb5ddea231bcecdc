"""The SNS topic and its subscriptions.

We subscribe the queue and the index function; the webhook subscribes itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Guard, Note, PlanItem, call
from postamt_sync.bootstrap.resource_policies import topic_statements
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.tags import NOT_OURS, is_ours, listed, mapped, stranger

SIGNATURE_VERSION = "2"
"""SHA-256; SNS's default is still SHA-1."""

MISSING = ("NotFound", "NotFoundException")


@dataclass(frozen=True, slots=True)
class TopicResource:
    """The topic with its signature version and policy."""

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
            yield NOT_OURS

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


@dataclass(frozen=True, slots=True)
class SubscriptionResource:
    """The subscription of `endpoint`, the ARN of our queue or function."""

    stack: Stack
    aws: AwsClient
    protocol: str
    endpoint: str

    @property
    def title(self) -> str:
        return f"subscription of {self.endpoint.split(':', 5)[5]} to topic {self.stack.name}"

    def plan(self) -> Iterator[PlanItem]:
        found = _find(self.aws, self.stack, self.endpoint)
        if found is None:
            parameters = {
                "TopicArn": self.stack.topic_arn,
                "Protocol": self.protocol,
                "Endpoint": self.endpoint,
                "ReturnSubscriptionArn": True,
            }
            retry_on = ("InvalidParameter", "InvalidParameterException", *MISSING)
            yield Change("create", [Call("sns", "subscribe", parameters, retry_on=retry_on)])
            return
        arn = found["SubscriptionArn"]
        answer = self.aws.read("sns", "get_subscription_attributes", SubscriptionArn=arn) or {}
        if answer.get("Attributes", {}).get("RawMessageDelivery") == "true":
            # Raw messages have no signature, so the daemon would reject them all.
            fix = call(
                "sns",
                "set_subscription_attributes",
                SubscriptionArn=arn,
                AttributeName="RawMessageDelivery",
                AttributeValue="false",
            )
            yield Change("raw delivery: on → off", [fix])

    def destroy(self) -> Iterator[PlanItem]:
        found = _find(self.aws, self.stack, self.endpoint)
        if found is not None:
            arn = found["SubscriptionArn"]
            yield Change("remove", [call("sns", "unsubscribe", SubscriptionArn=arn)])


@dataclass(frozen=True, slots=True)
class WebhookSubscriptionResource:
    """The webhook's subscription, which the running daemon requests and confirms itself."""

    stack: Stack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"subscription of {self.stack.public_url} to topic {self.stack.name}"

    def plan(self) -> Iterator[PlanItem]:
        if not self.is_confirmed():
            yield Note("waiting for the daemon, which subscribes itself: postamt-sync run")

    def is_confirmed(self) -> bool:
        return _find(self.aws, self.stack, self.stack.public_url) is not None

    def destroy(self) -> Iterator[PlanItem]:
        found = _find(self.aws, self.stack, self.stack.public_url)
        if found is not None:
            arn = found["SubscriptionArn"]
            yield Change("remove", [call("sns", "unsubscribe", SubscriptionArn=arn)])


def _find(aws: AwsClient, stack: Stack, endpoint: str) -> Mapping[str, Any] | None:
    """Return the confirmed subscription of this endpoint; None if there is none.

    For others, SNS lists "PendingConfirmation" or "Deleted" instead of an ARN.
    """
    every = aws.pages(
        "sns",
        "list_subscriptions_by_topic",
        "Subscriptions",
        missing=MISSING,
        TopicArn=stack.topic_arn,
    )
    mine = (s for s in every if s["Endpoint"] == endpoint)
    return next((s for s in mine if s["SubscriptionArn"].startswith("arn:")), None)
