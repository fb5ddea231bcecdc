"""SNS as a subscriber sees it: messages signed with a key of our own, and the certificate server.

Written from AWS's description, not from our code: it is the other side of the contract.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import json
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.x509.oid import NameOID

TOPIC = "arn:aws:sns:eu-west-1:123456789012:postamt"
BUCKET = "postamt-123456789012-eu-west-1-an"
PREFIX = "incoming/"
PEM_PATH = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
AWS_URL = f"https://sns.eu-west-1.amazonaws.com{PEM_PATH}"
DAY = dt.timedelta(days=1)


@functools.cache
def private_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The key with this number; made once a process, since that is slow."""
    del number
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def certificate_pem(
    key: Any,
    begins: dt.timedelta = -30 * DAY,
    ends: dt.timedelta = 300 * DAY,
    name: str = "sns.amazonaws.com",
    addresses: Sequence[str] = (),
) -> bytes:
    """A certificate for `key`, valid from and to so long after now; also fit for a TLS server."""
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName(name), *(x509.IPAddress(ip_address(one)) for one in addresses)]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: rsa.RSAPrivateKey, password: bytes = b"") -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


def signature(fields: Mapping[str, Any], key: rsa.RSAPrivateKey) -> str:
    """Sign the fields that AWS signs for this Type, in byte order, with the version they name."""
    if fields["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    lines = [line for name in names if name in fields for line in (name, fields[name])]
    text = "\n".join(lines) + "\n"
    digest = hashes.SHA256() if fields["SignatureVersion"] == "2" else hashes.SHA1()
    return base64.b64encode(key.sign(text.encode(), padding.PKCS1v15(), digest)).decode()


@dataclass
class Signer:
    """Signs as SNS does; `url` is where its certificate can be had."""

    url: str = AWS_URL
    key: rsa.RSAPrivateKey = field(default_factory=private_key)
    version: str = "2"

    def sign(self, **fields: str) -> dict[str, Any]:
        """Complete a message with its identity and its signature; given fields win."""
        message = {
            "MessageId": str(uuid.uuid4()),
            "TopicArn": TOPIC,
            "Timestamp": "2026-11-02T10:11:12.345Z",
            "SignatureVersion": self.version,
            "SigningCertURL": self.url,
        } | fields
        return message | {"Signature": signature(message, self.key)}

    def notification(self, message: str, **fields: str) -> dict[str, Any]:
        return self.sign(
            Type="Notification", Message=message, UnsubscribeURL=f"{self.url}?x", **fields
        )

    def confirmation(self, token: str = "t0k3n", **fields: str) -> dict[str, Any]:
        return self.sign(
            **{
                "Type": "SubscriptionConfirmation",
                "Message": "You have chosen to subscribe.\nTo confirm, visit the SubscribeURL.",
                "Token": token,
                "SubscribeURL": f"https://sns.eu-west-1.amazonaws.com/?Token={token}",
            }
            | fields
        )

    def unsubscription(self) -> dict[str, Any]:
        return self.confirmation(Type="UnsubscribeConfirmation")


def body(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode()


def receipt(key: str = f"{PREFIX}4k1s0v", bucket: str = BUCKET, *recipients: str) -> str:
    """The Message of a SES receipt notification."""
    passed = {"status": "PASS"}
    return json.dumps(
        {
            "notificationType": "Received",
            "mail": {"source": "sender@example.net", "messageId": key.rsplit("/", 1)[-1]},
            "receipt": {
                "recipients": list(recipients) or ["thomas@example.com"],
                "spamVerdict": passed,
                "virusVerdict": passed,
                "spfVerdict": passed,
                "dkimVerdict": passed,
                "dmarcVerdict": {"status": "GRAY"},
                "action": {
                    "type": "S3",
                    "topicArn": TOPIC,
                    "bucketName": bucket,
                    "objectKeyPrefix": PREFIX,
                    "objectKey": key,
                },
            },
        }
    )


def s3_event(*keys: str, bucket: str = BUCKET) -> str:
    """The Message of a S3 event; keys as they stand in the event, form-urlencoded."""
    return json.dumps(
        {
            "Records": [
                {
                    "eventVersion": "2.6",
                    "eventSource": "aws:s3",
                    "eventName": "ObjectCreated:Put",
                    "s3": {
                        "bucket": {"name": bucket},
                        "object": {"key": key, "size": 1234, "eTag": "0" * 32},
                    },
                }
                for key in keys
            ]
        }
    )


TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET})


@dataclass
class CertificateServer:
    """Serves a certificate, or whatever a test puts in its place."""

    origin: str
    pem: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.origin + PEM_PATH

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(request.path)
        return web.Response(status=self.status, body=self.pem, headers=self.headers)


@asynccontextmanager
async def serving_certificate(pem: bytes) -> AsyncIterator[CertificateServer]:
    """A certificate server on loopback, for as long as the block runs."""
    double = CertificateServer("", pem)
    runner = web.ServerRunner(web.Server(double.answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    double.origin = f"http://{host}:{port}"
    try:
        yield double
    finally:
        await runner.cleanup()
