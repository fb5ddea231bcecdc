"""Syncing a whole file system: many files become durable with one flush (syncfs(2)).

It waits for all that is dirty there, whoever wrote it: so it is worth it for many files at once,
and only while others have not written much. From Linux 5.8 on it tells each descriptor, once, of
what could not be written since that was opened; before, such an error would be lost.
"""

from __future__ import annotations

import errno
import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from postamt_sync.atomic_file import sync_filesystem

SINCE = (5, 8)
KINDS = frozenset({"ext3", "ext4", "f2fs", "xfs"})
"""File systems of one local disk that do for syncfs what they do for fsync. One over a network, or
in user space, need not pass it on; one of several volumes (btrfs) does not show which it is."""
MANY = 8
"""Files for which it costs less than to sync each of them."""
MOST_DIRTY = 32 << 20
"""Bytes that others may have written and not synced."""

_MOUNTS = Path("/proc/self/mountinfo")
_MEMORY = Path("/proc/meminfo")
_NODES = Path("/sys/devices/system/node")
"""Says the same node by node. It is there for our unit, to which /proc shows processes alone."""
_DIRTY = re.compile(r"^(?:Node \d+ )?(?:Dirty|Writeback): +(\d+) kB$", re.MULTILINE)


class FilesystemWatch(Protocol):
    """A file system, watched from before anything was written to it."""

    def sync(self) -> None:
        """Return once all that was written there is durable.

        Raises OSError, also where anything could not be written since the watch began; and again
        each time after that, for the system says so only once.
        """


class OpenDirectory:
    """Watches a file system by a descriptor of a directory in it."""

    def __init__(self, path: Path, sync: Callable[[int], None] | None = None) -> None:
        """Raises OSError. `sync` is `sync_filesystem`."""
        self._sync = sync or sync_filesystem
        self._failed: OSError | None = None
        self.fd = -1
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def sync(self) -> None:
        """See `FilesystemWatch`."""
        if self._failed is not None:
            raise OSError(*self._failed.args)
        try:
            self._sync(self.fd)
        except OSError as error:
            self._failed = error
            raise

    def __del__(self) -> None:
        # Whoever waits for a disk that is late may be the last to know of it.
        if self.fd >= 0:
            os.close(self.fd)


def can_sync_whole(fd: int) -> bool:
    """Tell whether the file system of an open file can be synced as a whole, soon and reliably."""
    return kernel_can() and filesystem_kind(fd) in KINDS and dirty() <= MOST_DIRTY


@functools.cache
def kernel_can() -> bool:
    version = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if os.uname().sysname != "Linux" or not version:
        return False
    if (int(version[1]), int(version[2])) < SINCE:
        return False
    try:
        sync_filesystem(-1)
    except OSError as error:
        # A filter of system calls would say something else of a descriptor that is none.
        return error.errno == errno.EBADF
    except AttributeError:  # a C library without it
        pass
    return False


def filesystem_kind(fd: int) -> str:
    """Return the kind of the file system, "" where the table of mounts does not show it."""
    device = os.fstat(fd).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
    for line in mounts.splitlines():
        mount, _, source = line.partition(" - ")
        if mount.split()[2:3] == [number]:
            return source.split()[0]
    return ""


def dirty(memory: Path = _MEMORY, nodes: Path = _NODES) -> float:
    """Return how many bytes in this machine are on their way to disks; infinite if unknown."""
    for files in ([memory], sorted(nodes.glob("node*/meminfo"))):
        try:
            found = [
                n for file in files for n in _DIRTY.findall(file.read_text("ascii", "replace"))
            ]
        except OSError:
            continue
        if found:
            return float(sum(map(int, found)) * 1024)
    return float("inf")
