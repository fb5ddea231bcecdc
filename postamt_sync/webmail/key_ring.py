"""Keys in their text form, as a parameter bears them: several at a time, so that a change cuts off
nobody."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field
from typing import Self

BYTES = 32
"""Of each key: 256 bits."""
MOST = 2
"""What a ring keeps: the key in force and the one before it."""

SECRET_HEADER = "x-postamt-origin"  # noqa: S105  the header's name
"""What CloudFront adds to each request to the API: a word of the ring of the origin's secrets."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The newest key first: it signs, each of them verifies."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        return cls((secrets.token_bytes(BYTES),))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return what `to_text` wrote; raises ValueError, which repeats nothing, for all else."""
        try:
            keys = tuple(base64.b64decode(word, b"-_", validate=True) for word in text.split())
        except (binascii.Error, ValueError):
            keys = ()
        if not keys or any(len(key) < BYTES for key in keys):
            raise ValueError("these are no keys")
        return cls(keys)

    def to_text(self) -> str:
        return " ".join(self.words)

    @property
    def words(self) -> tuple[str, ...]:
        """Each key as plain ASCII, as a header can bear it."""
        return tuple(base64.urlsafe_b64encode(key).decode() for key in self.keys)

    def rotated(self) -> Self:
        """Return a ring that a new key leads and that still verifies by the last one."""
        return type(self)((secrets.token_bytes(BYTES), *self.keys)[:MOST])
