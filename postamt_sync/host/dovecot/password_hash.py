"""Passwords for Dovecot: made up, checked and hashed with bcrypt, which 2.3 and 2.4 both verify."""

from __future__ import annotations

import secrets

import bcrypt

from postamt_sync.errors import UsageError

COST = 10
"""Rounds of bcrypt as a power of two: a twentieth of a second on a PC, a fifth on a Raspberry Pi,
and Dovecot computes it at every login of every client."""

SHORTEST = 8
LONGEST = 72
"""Octets: bcrypt sees no more."""

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
"""No l and 1, no o and 0: it is read from a screen and typed into a telephone."""
_GROUPS = 4
_GROUP = 5


def generated() -> str:
    """Return a new password of 100 random bits, in groups that can be typed."""
    return "-".join(
        "".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS)
    )


def hashed(password: str) -> str:
    """Return the salted bcrypt hash; raises UsageError for a password that cannot be used."""
    octets = password.encode(errors="surrogateescape")
    if len(password) < SHORTEST:
        raise UsageError(
            f"The password has fewer than {SHORTEST} characters, and the world may guess at it.",
            "Take a longer one, or let one be made with: --generate",
        )
    if len(octets) > LONGEST:
        raise UsageError(
            f"The password has {len(octets)} octets, and the hash sees only {LONGEST}.",
            "Take a shorter one.",
        )
    if not password.isprintable():
        raise UsageError(
            "The password has a character that cannot be typed.", "Take it out and try again."
        )
    return bcrypt.hashpw(octets, bcrypt.gensalt(COST)).decode("ascii")
