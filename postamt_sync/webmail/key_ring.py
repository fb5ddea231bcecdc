"""Keys as the text of a parameter: several at a time, so that a rotation cuts nobody off."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from typing import Self

BYTES = 32
"""Bytes of each key: 256 bits."""
MOST = 2
"""How many keys a ring keeps: the current one and the previous one."""

SECRET_HEADER = "x-postamt-origin"  # noqa: S105  the header's name
"""The header that CloudFront adds to each request to the API, with the origin's secret."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys, the newest first. It signs; each of them verifies."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Return a ring with one random key."""
        return cls((secrets.token_bytes(BYTES),))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read what `to_text` wrote; raises ValueError, which quotes nothing, for anything else."""
        try:
            keys = tuple(base64.b64decode(word, b"-_", validate=True) for word in text.split())
        except (binascii.Error, ValueError):
            keys = ()
        if not keys or any(len(key) < BYTES for key in keys):
            raise ValueError("these are no keys")
        return cls(keys)

    def to_text(self) -> str:
        """Return the keys as text for a parameter."""
        return " ".join(self.words)

    @property
    def words(self) -> tuple[str, ...]:
        """Each key in ASCII, for use in a header."""
        return tuple(base64.urlsafe_b64encode(key).decode() for key in self.keys)

    def rotated(self) -> Self:
        """Return a ring with a new key, which still verifies by the previous one."""
        return type(self)((secrets.token_bytes(BYTES), *self.keys)[:MOST])
