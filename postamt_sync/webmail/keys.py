"""Keys for signing and verifying, independent of where they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

SHORTEST_KEY = 32
"""Bytes (RFC 7518 section 3.2, for HS256)."""


class Keys(Protocol):
    """Keys that may be rotated at any time. Methods raise whatever the service raises."""

    def current(self) -> Sequence[bytes]:
        """Return the keys, the newest first. It signs; each of them verifies."""

    def newer(self) -> bool:
        """Look for newer keys, as none of these fits; tell whether there are any."""


class FixedKeys:
    """Keys that never change while the process runs."""

    def __init__(self, *keys: bytes) -> None:
        """Raises ValueError if there is none, or if one is too short."""
        if not keys or any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(f"keys of at least {SHORTEST_KEY} bytes are needed")
        self._keys = keys

    def current(self) -> Sequence[bytes]:
        return self._keys

    def newer(self) -> bool:
        return False
