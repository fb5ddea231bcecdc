"""Signs what SNS sends, as SNS does, with a key and a certificate made for one run.

The string to sign (SNS Developer Guide, "Verifying the signatures of Amazon SNS messages"): for
each field the name, a line end, the value, a line end; the last one too.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Mapping

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
    """A signing key with its certificate, RSA 2048, one leaf, as SNS serves it."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.certificate = _certificate(self._key)
        """The certificate, PEM."""

    @property
    def path(self) -> str:
        """Where SNS would serve this certificate: the name changes with the content."""
        digest = hashlib.md5(self.certificate, usedforsecurity=False).hexdigest()
        return f"/SimpleNotificationService-{digest}.pem"

    def sign(self, message: Mapping[str, str], version: str) -> str:
        """Return the signature in base64; version "1" is SHA-1, "2" SHA-256 (PKCS #1 v1.5)."""
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()  # noqa: S303
        signature = self._key.sign(string_to_sign(message), padding.PKCS1v15(), algorithm)
        return base64.b64encode(signature).decode()


def string_to_sign(message: Mapping[str, str]) -> bytes:
    """Return what the signature covers; a Subject that is not there is left out."""
    fields = SIGNED_FIELDS[message["Type"]]
    return "".join(f"{name}\n{message[name]}\n" for name in fields if name in message).encode()


def _certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    # A machine whose clock was set while the demo runs must not see a certificate of the future.
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
