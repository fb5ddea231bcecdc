"""SES's SMTP endpoint: its host and ports, their kinds of TLS, and the password.

Sources: SES Developer Guide, "Connecting to an Amazon SES SMTP endpoint" and "Obtaining Amazon SES
SMTP credentials".
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
from dataclasses import dataclass

from postamt_sync.aws.regions import WITHOUT_SMTP

_VERSION = b"\x04"
_MESSAGES = ("ses", "aws4_request", "SendRawEmail")
_DATE = "11111111"
"""Fixed by SES: the password does not depend on the day."""


class Tls(enum.StrEnum):
    """How a connection is encrypted."""

    STARTTLS = "STARTTLS"
    """It starts unencrypted and is upgraded (RFC 3207)."""
    IMPLICIT = "TLS"
    """It uses TLS from the first byte (RFC 8314)."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A region's server for sending; the first port of each kind is the usual one."""

    host: str
    implicit_tls: tuple[int, ...] = (465, 2465)
    starttls: tuple[int, ...] = (587, 2587, 25)


def smtp_server(region: str) -> SmtpServer | None:
    """Return the region's server; None if SES sends only through its API there."""
    if region in WITHOUT_SMTP:
        return None
    return SmtpServer(f"email-smtp.{region}.amazonaws.com")


def smtp_password(secret_access_key: str, region: str) -> str:
    """Derive the SMTP password of an IAM user's key; the user name is the access key's id.

    It is valid in this region only. The key must be a user's own: no password can be made from the
    keys of a role, which come with a session token.
    """
    signature = f"AWS4{secret_access_key}".encode()
    for message in (_DATE, region, *_MESSAGES):
        signature = hmac.digest(signature, message.encode(), hashlib.sha256)
    return base64.b64encode(_VERSION + signature).decode()
