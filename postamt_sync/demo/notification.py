"""What SNS sends: notifications and confirmations as JSON, signed with a key made for one run.

The string to sign (SNS Developer Guide, "Verifying the signatures of Amazon SNS messages"): for
each field its name and its value, each followed by a line end, including the last.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

COMMON_NAME = "sns.amazonaws.com"
"""In the classic regions the certificate names no region."""

VALID_FOR = dt.timedelta(days=335)

SIGNED_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
    "UnsubscribeConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}


class SnsSigner:
    """A signing key (RSA 2048) and its certificate, a single leaf, as SNS serves it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = _certificate(self._key)
        """The certificate, PEM."""

    @property
    def path(self) -> str:
        """The path at which SNS would serve this certificate; it changes with the content."""
        digest = hashlib.md5(self.certificate, usedforsecurity=False).hexdigest()
        return f"/SimpleNotificationService-{digest}.pem"

    def sign(self, message: Mapping[str, str], version: str) -> str:
        """Return the signature in base64; version "1" is SHA-1, "2" SHA-256 (PKCS #1 v1.5)."""
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303
        signature = self._key.sign(string_to_sign(message), padding.PKCS1v15(), algorithm)
        return base64.b64encode(signature).decode()


def string_to_sign(message: Mapping[str, str]) -> bytes:
    """Return what the signature covers; an absent Subject is left out."""
    fields = SIGNED_FIELDS[message["Type"]]
    return "".join(f"{name}\n{message[name]}\n" for name in fields if name in message).encode()


def _certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    # The certificate must stay valid if the clock is set back while the demo runs.
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(COMMON_NAME)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


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
        """Return the JSON that is posted, formatted and ordered as SNS does it.

        `endpoint` is the URL that serves the certificate and that the links lead to.
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
        """Return the headers of SNS's POST; the message ID is the same on every retry."""
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
