"""Reading a small file that a person or another program keeps, whatever lies in its place.

A pipe without a writer would be waited for, a device or a sparse file read without an end. Links
are followed: certificates usually are some.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST = 4 << 20
"""Bytes; no configuration, key or certificate chain has as many."""


def read(path: Path, longest: int = LARGEST, *, pipes: bool = False) -> bytes:
    """Return what a regular file holds; raises OSError, EFBIG for one of more than `longest` bytes.

    `pipes` are read too, as a shell makes them of a command: one without a writer is empty.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode) and not (pipes and stat.S_ISFIFO(mode)):
        os.close(handle)
        raise _refusal(errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO, path)
    with os.fdopen(handle, "rb") as file:
        os.set_blocking(handle, True)
        data = file.read(longest + 1)
    if len(data) > longest:
        raise _refusal(errno.EFBIG, path)
    return data


def _refusal(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
