"""Memory that goes back to the machine when a storm is over."""

from __future__ import annotations

import contextlib
import ctypes

LARGE = 64 * 1024
"""Bytes from which on a block is the system's own, and gone when it is freed."""
_M_MMAP_THRESHOLD = -3
"""mallopt(3) of glibc; another C library passes over it."""


def give_back_large_blocks() -> None:
    """Let no large block keep the room of small ones occupied after it.

    glibc raises its threshold with each large block that is freed, up to 32 MB. A few hundred
    strangers with half a body each then leave three times as much memory behind as they had.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE)
