"""Who listens to the topic: queue and index function by our doing, the webhook by its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Note, PlanItem, call
from postamt_sync.bootstrap.resources.topic import MISSING
from postamt_sync.bootstrap.stack import Stack


@dataclass(frozen=True, slots=True)
class SubscriptionResource:
    """The topic tells `endpoint`, the ARN of a queue or function of ours."""

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
            # Raw messages carry no signature: the daemon believes none of them.
            mend = call(
                "sns",
                "set_subscription_attributes",
                SubscriptionArn=arn,
                AttributeName="RawMessageDelivery",
                AttributeValue="false",
            )
            yield Change("raw delivery: on → off", [mend])

    def destroy(self) -> Iterator[PlanItem]:
        found = _find(self.aws, self.stack, self.endpoint)
        if found is not None:
            arn = found["SubscriptionArn"]
            yield Change("take away", [call("sns", "unsubscribe", SubscriptionArn=arn)])


@dataclass(frozen=True, slots=True)
class WebhookSubscriptionResource:
    """The daemon's own subscription, which it asks for and confirms by itself when it runs."""

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
            yield Change("take away", [call("sns", "unsubscribe", SubscriptionArn=arn)])


def _find(aws: AwsClient, stack: Stack, endpoint: str) -> Mapping[str, Any] | None:
    """Return the confirmed subscription of this endpoint.

    In place of an ARN, SNS lists "PendingConfirmation" or, of one that is gone, "Deleted".
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
