"""The SNS API as far as a subscriber needs it: one topic, in memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.doubles.sns import TOPIC


def client_error(code: str, message: str = "no", operation: str = "Subscribe") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class Topic:
    """Behaves as boto3's SNS client; `incidents` are raised first, one a call."""

    arn: str = f"{TOPIC}:0123"
    pending: bool = True
    attributes: dict[str, str] | None = None
    """Those of the subscription; None while there is none."""
    incidents: list[Exception] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    """Calls wait for it; open from the start."""

    def __post_init__(self) -> None:
        self.gate.set()

    def count(self, name: str) -> int:
        return sum(called == name for called, _ in self.calls)

    def _begin(self, name: str, request: dict[str, Any]) -> None:
        self.calls.append((name, request))
        self.gate.wait(20)
        if self.incidents:
            raise self.incidents.pop(0)

    def subscribe(self, **request: Any) -> dict[str, str]:
        self._begin("subscribe", request)
        wanted = request["Attributes"]
        if self.attributes is None:
            self.attributes = dict(wanted)
        elif wanted and wanted != self.attributes:
            raise client_error(
                "InvalidParameter",
                "Invalid parameter: Attributes Reason: "
                "Subscription already exists with different attributes",
            )
        return {"SubscriptionArn": self.arn}

    def get_subscription_attributes(self, **request: Any) -> dict[str, dict[str, str]]:
        self._begin("get_subscription_attributes", request)
        if self.attributes is None:
            raise client_error("NotFound", "Subscription does not exist")
        pending = {"PendingConfirmation": "true" if self.pending else "false"}
        return {"Attributes": self.attributes | pending}

    def set_subscription_attributes(self, **request: Any) -> None:
        self._begin("set_subscription_attributes", request)
        assert self.attributes is not None
        self.attributes[request["AttributeName"]] = request["AttributeValue"]

    def confirm_subscription(self, **request: Any) -> dict[str, str]:
        self._begin("confirm_subscription", request)
        if request["Token"] == "stale":
            raise client_error("InvalidParameter", "Invalid parameter: Token")
        self.pending = False
        return {"SubscriptionArn": self.arn}
