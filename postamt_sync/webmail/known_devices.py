"""Devices on which someone has signed in: each has a signed cookie, which opens nothing by itself.

With it, attempts to sign in are counted separately, so that strangers who try from the same address
do not slow down anybody else. It is for one mailbox under one secret, and reveals neither.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from postamt_sync.webmail.tokens import SignedTokens
from postamt_sync.webmail.users import WebmailUser

COOKIE = "__Host-postamt-device"
KNOWN_SECONDS = 180 * 86_400
"""How long a device is known after the last time."""
_ID_BYTES = 12


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device, and for which user it is known."""

    id: str
    bound_to: str

    def is_of(self, user: WebmailUser) -> bool:
        """Tell whether this user has signed in on it with the current secret."""
        return hmac.compare_digest(self.bound_to.encode(), _binding(user).encode())


class KnownDevices:
    """Makes and reads the devices' cookies."""

    def __init__(self, tokens: SignedTokens) -> None:
        """`tokens` must last for KNOWN_SECONDS, and not be valid for sessions."""
        self._tokens = tokens

    def read(self, token: str) -> KnownDevice | None:
        """Return the device for a cookie's value; None if anything is wrong with it."""
        claims = self._tokens.read(token, "jti", "for")
        return None if claims is None else KnownDevice(claims["jti"], claims["for"])

    def cookie(self, user: WebmailUser, before: KnownDevice | None) -> str:
        """Return Set-Cookie for a device on which a user has just signed in.

        `before` is the device according to its old cookie. It keeps its id if it was this user's.
        """
        same = before is not None and before.is_of(user)
        device = before.id if before and same else secrets.token_urlsafe(_ID_BYTES)
        token = self._tokens.make(jti=device, **{"for": _binding(user)})
        return (
            f"{COOKIE}={token}; Path=/; Max-Age={KNOWN_SECONDS}; HttpOnly; Secure; SameSite=Strict"
        )


def _binding(user: WebmailUser) -> str:
    """Return a hash of a mailbox and its secret, which changes with the secret."""
    whole = f"{user.mailbox}\0{user.secret}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(whole).hexdigest()[:40]
