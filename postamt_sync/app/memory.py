"""Memory that goes back to the machine when a storm is over, and is not searched in vain."""

from __future__ import annotations

import contextlib
import ctypes
import gc

LARGE = 64 * 1024
"""Bytes from which on a block is the system's own, and gone when it is freed."""
NEW_OBJECTS = 5000
"""Objects more than before at which the collector looks for rings among the new ones."""
_M_MMAP_THRESHOLD = -3
"""mallopt(3) of glibc; another C library passes over it."""


def give_back_large_blocks() -> None:
    """Let no large block keep the room of small ones occupied after it.

    glibc raises its threshold with each large block that is freed, up to 32 MB. A few hundred
    strangers with half a body each then leave three times as much memory behind as they had.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE)


def leave_what_stays_alone() -> None:
    """Let the collector pass over all that has been loaded so far: none of it ever goes away.

    To be called before the work begins, of which many short-lived objects are made: each thousand
    of them would have the collector look at everything.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 20)
