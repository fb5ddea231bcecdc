"""Opening what should be a regular file, whatever lies in its place.

A pipe without a writer would be waited for, a device or a sparse file read without an end, and a
link may lead to what is not for whoever made it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

NO_FILES = frozenset({errno.ENXIO, errno.EISDIR, errno.ELOOP, errno.EFBIG})
"""How it is said that something else lies there than a file of the kind that was looked for."""
LARGEST = 4 << 20
"""Bytes; no configuration, key or certificate chain has as many."""


def open_regular(
    path: Path | str, at: int | None = None, *, links: bool = False, pipes: bool = False
) -> int:
    """Open a regular file for reading and return its descriptor; raises OSError.

    Nothing is waited for, and what is no regular file is refused (ENXIO, EISDIR, ELOOP). `at` is
    the directory of a relative path. `links` are followed where only their owner makes them.
    `pipes` are opened too, as a shell makes them of a command: one without a writer is empty.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(path, flags if links else flags | os.O_NOFOLLOW, dir_fd=at)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    if pipes and stat.S_ISFIFO(mode):
        os.set_blocking(fd, True)
        return fd
    os.close(fd)
    raise system_error(errno.EISDIR if stat.S_ISDIR(mode) else errno.ENXIO, path)


def read_small(
    path: Path | str,
    longest: int = LARGEST,
    at: int | None = None,
    *,
    links: bool = False,
    pipes: bool = False,
) -> bytes:
    """Return what a file holds that `open_regular` opens; raises OSError.

    One of more than `longest` bytes is refused (EFBIG): half a file may say the contrary.
    """
    with os.fdopen(open_regular(path, at, links=links, pipes=pipes), "rb") as file:
        data = file.read(longest + 1)
    if len(data) > longest:
        raise system_error(errno.EFBIG, path)
    return data


def system_error(number: int, path: Path | str) -> OSError:
    """Return the error that the system raises with this number."""
    return OSError(number, os.strerror(number), str(path))
