"""The few file system calls of delivery, in one place so that tests can watch and break them.

Every directory operation that must survive a power cut is followed by a sync of the directory that
holds the entry; the callers decide when, this only does it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable

_REMEDIES = {
    errno.ENOSPC: ("The disk is full", "Make room; the mail waits."),
    errno.EDQUOT: ("The disk quota is used up", "Raise it or make room; the mail waits."),
    errno.EROFS: ("The file system is read-only", "Look why (dmesg), then remount it writable."),
    errno.EACCES: (
        "Permission is denied",
        "Give the directory to the user that postamt-sync runs as (ls -ld shows the owner).",
    ),
    errno.EPERM: (
        "The operation is not permitted",
        "Give the directory to the user that postamt-sync runs as (ls -ld shows the owner).",
    ),
    errno.EIO: ("The disk answers with an input/output error", "Look at dmesg; replace the disk."),
    errno.ENOENT: ("A directory is missing", "Mount the disk or put the directory back."),
    errno.ENOTDIR: ("Something that is no directory is in the way", "Move it away."),
    errno.EEXIST: ("Something that is no directory is in the way", "Move it away."),
    errno.EISDIR: ("A directory is in the way", "Move it away."),
}


def disk_trouble(error: OSError, path: Path) -> TryLaterError:
    """Say what the system refused and what to do; every trouble with a disk is temporary."""
    problem, hint = _REMEDIES.get(
        error.errno or 0,
        (f"The system refused ({error.strerror or error})", "Look at the disk and at dmesg."),
    )
    return TryLaterError(f"{problem}: {printable(str(path))}.", hint)


def is_read_only(root: Path) -> bool:
    """Tell whether the file system that holds `root`, or that would, is read-only for us.

    A service manager or a container runtime opens a few paths for writing and mounts the rest
    read-only. A path that may not be looked at counts as the nearest one above it that may.
    Blocking.
    """
    for path in (root, *root.parents):
        try:
            return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        except OSError:
            continue
    return False


class Disk:
    """Plain calls to the system; all raise OSError. Blocking: call from a worker thread."""

    def create(self, path: Path) -> int:
        """Open a new file for writing, mode 0600; FileExistsError if anything has that name."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        try:
            os.fchmod(fd, 0o600)  # whatever the umask takes away, Dovecot needs
        except BaseException:
            os.close(fd)
            raise
        return fd

    def write(self, fd: int, data: bytes) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def set_times(self, fd: int, mtime: float) -> None:
        """Set the modification time, which IMAP shows as INTERNALDATE, in seconds since 1970."""
        os.utime(fd, ns=(round(mtime * 1e9), round(mtime * 1e9)))

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def sync(self, fd: int) -> None:
        """Return once the file's bytes and times are durable. Never call twice after a failure."""
        os.fsync(fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def sync_directory(self, path: Path) -> None:
        """Return once the directory's entries are durable."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def unlink(self, path: Path) -> None:
        """Remove a file; it is fine if it is not there."""
        path.unlink(missing_ok=True)

    def make_directory(self, path: Path) -> None:
        """Create one directory, mode 0700; one that is there stays as it is."""
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            if not path.is_dir():
                raise
        else:
            path.chmod(0o700)  # whatever the umask took away

    def append_line(self, path: Path, line: str) -> None:
        """Append one line to a small text file, mode 0600, durably."""
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self.write(fd, f"{line}\n".encode())
            os.fsync(fd)
        finally:
            os.close(fd)
