"""Keys as whoever signs and verifies asks for them, who need not know where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

SHORTEST_KEY = 32
"""Bytes (RFC 7518 section 3.2, for HS256)."""


class Keys(Protocol):
    """Keys that may be rotated meanwhile. Raises whatever the service raises."""

    def current(self) -> Sequence[bytes]:
        """Return them, the newest first: it signs, each of them verifies."""

    def newer(self) -> bool:
        """Look for a newer one, since none of these fitted; tell whether there is one."""


class FixedKeys:
    """Keys that last as long as the process."""

    def __init__(self, *keys: bytes) -> None:
        """Raises ValueError for none or a short one."""
        if not keys or any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(f"keys of at least {SHORTEST_KEY} bytes are needed")
        self._keys = keys

    def current(self) -> Sequence[bytes]:
        return self._keys

    def newer(self) -> bool:
        return False
