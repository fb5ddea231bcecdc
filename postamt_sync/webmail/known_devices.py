"""Devices that signed in before: each bears a signed cookie, which opens nothing by itself.

It lets its bearer try the mailbox's secret by a way of its own, so that strangers who try theirs
crowd nobody out. It is for one mailbox under one secret, and says to a reader neither.
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
"""How long a device is known that does not sign in."""
_ID_BYTES = 12


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A device, and for whom it is known."""

    id: str
    bound_to: str

    def is_of(self, user: WebmailUser) -> bool:
        """Tell whether this user signed in on it, with the secret that is still in force."""
        return hmac.compare_digest(self.bound_to.encode(), _binding(user).encode())


class KnownDevices:
    """Makes and reads the cookies of devices."""

    def __init__(self, tokens: SignedTokens) -> None:
        """`tokens` last for KNOWN_SECONDS; none of them is one of a session."""
        self._tokens = tokens

    def read(self, token: str) -> KnownDevice | None:
        """Return the device of a cookie's value; None, whatever is wrong with it."""
        claims = self._tokens.read(token, "jti", "for")
        return None if claims is None else KnownDevice(claims["jti"], claims["for"])

    def cookie(self, user: WebmailUser, before: KnownDevice | None) -> str:
        """Return Set-Cookie for a device on which a user has just signed in.

        `before` is what it was known as; it stays the same device if that was for this user.
        """
        same = before is not None and before.is_of(user)
        device = before.id if before and same else secrets.token_urlsafe(_ID_BYTES)
        token = self._tokens.make(jti=device, **{"for": _binding(user)})
        return (
            f"{COOKIE}={token}; Path=/; Max-Age={KNOWN_SECONDS}; HttpOnly; Secure; SameSite=Strict"
        )


def _binding(user: WebmailUser) -> str:
    """Return what stands for a mailbox under one secret: another, once the secret is another."""
    whole = f"{user.mailbox}\0{user.secret}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(whole).hexdigest()[:40]
