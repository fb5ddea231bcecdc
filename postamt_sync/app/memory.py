"""Memory that goes back to the machine when a storm is over, and is not searched in vain."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator

LARGE = 64 * 1024
"""Bytes from which on a block is the system's own, and gone when it is freed."""
NEW_OBJECTS = 5000
"""Objects more than before at which the collector looks for rings among the new ones."""
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""mallopt(3) of glibc; another C library passes over it."""


def give_back_large_blocks() -> None:
    """Let no large block keep the room of small ones occupied after it.

    glibc raises its threshold with each large block that is freed, up to 32 MB. A few hundred
    strangers with half a body each then leave three times as much memory behind as they had. And
    no thread has a heap of its own: only one of ours runs at a time.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(_M_ARENA_MAX, 1)


def pass_over_what_is_there() -> None:
    """Let the collector look at what is there by now for the last time.

    Most of it stays as long as the process. A look at all of it takes 40 ms, in which nobody is
    answered and no mail is delivered, and would come again and again.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def loaded_left_alone() -> Iterator[None]:
    """Let the collector pass over all that has been loaded before, which stays anyway.

    For work that makes many short-lived objects: each thousand of them would have it look at all.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
