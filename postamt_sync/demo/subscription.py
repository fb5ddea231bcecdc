"""A subscription of the small SNS: its endpoint, protocol, attributes, and retries."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from postamt_sync.demo.query import invalid

TOKEN_LIFETIME = 2 * 86_400
"""Seconds within which a subscription must be confirmed."""

LONGEST_RETRY = 3600
"""Seconds after which SNS gives up on an HTTP endpoint, whatever the policy says."""

POLICIES = frozenset({"DeliveryPolicy", "RedrivePolicy"})
SETTABLE = POLICIES | {"RawMessageDelivery"}
"""The supported attributes; a filter policy is refused rather than ignored."""

DEFAULT_RETRY = {"numRetries": 3, "minDelayTarget": 20, "maxDelayTarget": 20}


@dataclass(slots=True)
class SnsSubscription:
    """One endpoint of one topic; `arn` is fixed from the start, even while it is pending."""

    topic_arn: str
    protocol: str
    endpoint: str
    attributes: dict[str, str] = field(default_factory=dict)
    pending: bool = True
    authenticated: bool = False
    """Whether it was confirmed so that only its owner may unsubscribe it."""
    tokens: dict[str, float] = field(default_factory=dict)
    """The tokens sent, and when each expires (seconds since 1970)."""
    arn: str = ""

    def __post_init__(self) -> None:
        self.arn = self.arn or f"{self.topic_arn}:{uuid.uuid4()}"

    @property
    def account(self) -> str:
        return self.topic_arn.split(":")[4]

    @property
    def raw(self) -> bool:
        return self.attributes.get("RawMessageDelivery", "false").lower() == "true"

    def new_token(self, now: float) -> str:
        """Make a token that confirms this subscription; earlier ones stay valid until they
        expire.
        """
        token = secrets.token_hex(128)
        self.tokens[token] = now + TOKEN_LIFETIME
        return token

    def accepts(self, token: str, now: float) -> bool:
        return self.tokens.get(token, now) > now

    def set(self, name: str, value: str) -> None:
        """Set one attribute; an empty policy removes it. Raises the error that SNS would answer."""
        if name not in SETTABLE:
            raise invalid("AttributeName")
        if name in POLICIES and value:
            _check_policy(name, value)
        if name in POLICIES and value in ("", "{}"):
            self.attributes.pop(name, None)
        else:
            self.attributes[name] = value

    def described(self) -> dict[str, str]:
        """Return what GetSubscriptionAttributes shows."""
        return {
            "SubscriptionArn": self.arn,
            "TopicArn": self.topic_arn,
            "Owner": self.account,
            "Protocol": self.protocol,
            "Endpoint": self.endpoint,
            "PendingConfirmation": str(self.pending).lower(),
            "ConfirmationWasAuthenticated": str(self.authenticated).lower(),
            "RawMessageDelivery": "false",
            **self.attributes,
        }

    def listed(self) -> dict[str, str]:
        """Return the entry for lists of subscriptions, where a pending one has no ARN."""
        return {
            "SubscriptionArn": "PendingConfirmation" if self.pending else self.arn,
            "Owner": self.account,
            "Protocol": self.protocol,
            "Endpoint": self.endpoint,
            "TopicArn": self.topic_arn,
        }

    @property
    def dead_letter_arn(self) -> str | None:
        policy: dict[str, str] = json.loads(self.attributes.get("RedrivePolicy", "{}"))
        return policy.get("deadLetterTargetArn")

    def pauses(self) -> Iterator[float]:
        """Yield the seconds to wait before each further try, until SNS gives up.

        SNS Developer Guide, "Amazon SNS message delivery retries": at once, then at the shortest
        pause, then growing, then at the longest pause; an hour in all. Growth is linear here.
        """
        policy = json.loads(self.attributes.get("DeliveryPolicy", "{}"))
        retry = {**DEFAULT_RETRY, **(policy.get("healthyRetryPolicy") or {})}
        shortest, longest = float(retry["minDelayTarget"]), float(retry["maxDelayTarget"])
        at_once = int(retry.get("numNoDelayRetries", 0))
        early = int(retry.get("numMinDelayRetries", 0))
        late = int(retry.get("numMaxDelayRetries", 0))
        growing = max(int(retry["numRetries"]) - at_once - early - late, 0)
        step = (longest - shortest) / (growing - 1) if growing > 1 else 0.0
        planned = [0.0] * at_once + [shortest] * early
        planned += [shortest + n * step for n in range(growing)] + [longest] * late
        waited = 0.0
        for pause in planned:
            waited += pause
            if waited > LONGEST_RETRY:
                return
            yield pause


def _check_policy(name: str, value: str) -> None:
    try:
        policy: Any = json.loads(value)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        raise invalid(f"{name}: failed to parse JSON")
    if name == "RedrivePolicy" and policy:
        target = policy.get("deadLetterTargetArn", "")
        if not isinstance(target, str) or not target.startswith("arn:aws:sqs:"):
            raise invalid("RedrivePolicy: deadLetterTargetArn is not an SQS ARN")
