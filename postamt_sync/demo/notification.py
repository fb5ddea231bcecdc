"""What SNS sends: a notification or a confirmation, as signed JSON."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from postamt_sync.demo.signing import SnsSigner


def _now() -> str:
    now = dt.datetime.now(dt.UTC)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class SnsNotification:
    """One message of a topic, before it is signed for one of its subscriptions."""

    topic_arn: str
    message: str
    subject: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    kind: str = "Notification"
    token: str = ""
    subscribe_url: str = ""
    message_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    timestamp: str = field(default_factory=_now)

    def body(self, signer: SnsSigner, version: str, endpoint: str, subscription_arn: str) -> str:
        """Return the JSON that is posted, laid out and ordered as SNS does.

        `endpoint` is where the certificate is served and where the links lead.
        """
        fields = {"Type": self.kind, "MessageId": self.message_id}
        if self.token:
            fields["Token"] = self.token
        fields["TopicArn"] = self.topic_arn
        if self.subject is not None:
            fields["Subject"] = self.subject
        fields["Message"] = self.message
        if self.subscribe_url:
            fields["SubscribeURL"] = self.subscribe_url
        fields["Timestamp"] = self.timestamp
        signed: dict[str, Any] = {
            **fields,
            "SignatureVersion": version,
            "Signature": signer.sign(fields, version),
            "SigningCertURL": endpoint + signer.path,
        }
        if self.kind == "Notification":
            link = f"{endpoint}/?Action=Unsubscribe&SubscriptionArn={subscription_arn}"
            signed["UnsubscribeURL"] = link
            if self.attributes:
                signed["MessageAttributes"] = self.attributes
        return json.dumps(signed, indent=2, separators=(",", " : "), ensure_ascii=False)

    def headers(self, subscription_arn: str, raw: bool) -> dict[str, str]:
        """Return the headers of SNS's POST; the message id is the same on every retry."""
        headers = {
            "x-amz-sns-message-type": self.kind,
            "x-amz-sns-message-id": self.message_id,
            "x-amz-sns-topic-arn": self.topic_arn,
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
        }
        if self.kind != "SubscriptionConfirmation":
            headers["x-amz-sns-subscription-arn"] = subscription_arn
        if raw:
            headers["x-amz-sns-rawdelivery"] = "true"
        return headers
