"""SNS as it knows the subscriptions of one topic: ours, those of others, and their tokens."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.sns import TOPIC
from tests.doubles.topic import client_error


@dataclass
class Known:
    """A subscription as SNS knows it."""

    arn: str
    endpoint: str
    pending: bool = True
    attributes: dict[str, str] = field(default_factory=dict)


class SnsAccount:
    """Behaves as boto3's SNS client. `calls` counts what was asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made = 0
        self.known: dict[str, Known] = {}
        self.tokens: dict[str, str] = {}
        """By token the ARN that it confirms; what is not here is no longer good."""
        self.calls: Counter[str] = Counter()

    def find(self, endpoint: str) -> Known | None:
        return next((one for one in self.known.values() if one.endpoint == endpoint), None)

    def make(self, endpoint: str, *, pending: bool = True) -> Known:
        """Subscribe an endpoint, as a person does."""
        self._made += 1
        one = Known(f"{TOPIC}:{self._made:04}", endpoint, pending)
        self.known[one.arn] = one
        return one

    def token(self, one: Known) -> str:
        """Return a new token that confirms a subscription."""
        token = f"token-{len(self.tokens)}"
        self.tokens[token] = one.arn
        return token

    def end(self, endpoint: str) -> None:
        """Unsubscribe an endpoint; its tokens are worth nothing any more."""
        if (one := self.find(endpoint)) is not None:
            del self.known[one.arn]

    def subscribe(self, **request: Any) -> dict[str, str]:
        self._count("subscribe")
        one = self.find(request["Endpoint"]) or self.make(request["Endpoint"])
        one.attributes |= request["Attributes"]
        return {"SubscriptionArn": one.arn}

    def get_subscription_attributes(self, **request: Any) -> dict[str, dict[str, str]]:
        self._count("get_subscription_attributes")
        one = self._one(request["SubscriptionArn"])
        more = {"PendingConfirmation": str(one.pending).lower(), "Endpoint": one.endpoint}
        return {"Attributes": one.attributes | more}

    def set_subscription_attributes(self, **request: Any) -> None:
        self._count("set_subscription_attributes")
        one = self._one(request["SubscriptionArn"])
        one.attributes[request["AttributeName"]] = request["AttributeValue"]

    def confirm_subscription(self, **request: Any) -> dict[str, str]:
        self._count("confirm_subscription")
        arn = self.tokens.get(request["Token"], "")
        if arn not in self.known:
            raise client_error("InvalidParameter", "Invalid parameter: Token")
        self.known[arn].pending = False
        return {"SubscriptionArn": arn}

    def _one(self, arn: str) -> Known:
        if arn not in self.known:
            raise client_error("NotFound", "Subscription does not exist")
        return self.known[arn]

    def _count(self, name: str) -> None:
        with self._lock:
            self.calls[name] += 1
