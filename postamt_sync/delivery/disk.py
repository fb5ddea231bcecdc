"""The few file system calls of delivery, in one place so that tests can watch and break them.

Every directory operation that must survive a power cut is followed by a sync of the directory that
holds the entry; the callers decide when, this only does it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from postamt_sync.atomic_file import not_known_here, sync_handle
from postamt_sync.delivery.filesystem_sync import (
    MANY,
    FilesystemWatch,
    OpenDirectory,
    can_sync_whole,
)
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable
from postamt_sync.regular_file import open_regular, system_error

_REMEDIES = {
    errno.ENOSPC: ("The disk is full", "Make room; the mail waits."),
    errno.EDQUOT: ("The disk quota is used up", "Raise it or make room; the mail waits."),
    errno.EROFS: (
        "The file system is read-only",
        "Find out why (dmesg), then remount it writable.",
    ),
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
    errno.ELOOP: ("A symbolic link is in the way", "Move it away, or put the file itself there."),
    errno.ENXIO: ("Something that is no regular file is in the way", "Look with ls -l; move it."),
    errno.EMFILE: (
        "This process has as many files open as it may",
        "Raise LimitNOFILE= of the service (systemctl edit postamt-sync), or ulimit -n.",
    ),
    errno.ENFILE: (
        "The machine has as many files open as it can",
        "End what holds them (lsof), or raise fs.file-max (sysctl).",
    ),
    errno.ENOLCK: (
        "The file system has no locks",
        "Put it on a local disk, or run the lock service of its server (NFS: rpc.statd).",
    ),
    errno.EFBIG: ("A file is far larger than one of its kind", "See what it is, and move it away."),
}

LARGEST_MAIL = 1 << 30
"""Bytes; SES takes mails of 40 MB."""


def disk_trouble(error: OSError, path: Path) -> TryLaterError:
    """Say what the system refused and what to do; every disk error is temporary."""
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


def open_mail(path: Path) -> BufferedReader:
    """Open a file that should be a mail, as `open_regular` does; raises OSError.

    One of more than `LARGEST_MAIL` bytes is none, and would be read forever.
    """
    file = os.fdopen(open_regular(path), "rb")
    if os.fstat(file.fileno()).st_size <= LARGEST_MAIL:
        return file
    file.close()
    raise system_error(errno.EFBIG, path)


@dataclass(frozen=True, slots=True)
class HeldDirectory:
    """A directory by its descriptor: what is done below it is done there, whatever is mounted."""

    path: Path
    fd: int

    def below(self, path: Path) -> str:
        """Return a path below it as the system takes it together with `fd`."""
        # What `relative_to` does takes ten times as long, and is done twice for each mail.
        text, above = str(path), str(self.path)
        if text == above:
            return "."
        start = above if above.endswith("/") else f"{above}/"
        if not text.startswith(start):
            raise ValueError(f"{text} is not below {above}")
        return text[len(start) :]


class Disk:
    """Plain calls to the system; all raise OSError. Blocking: call from a worker thread.

    A path that is below `at` is looked for there.
    """

    @contextmanager
    def held(self, path: Path) -> Iterator[HeldDirectory]:
        """Hold a directory, which a link may name, and with it the file system that it lies on."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield HeldDirectory(path, fd)
        finally:
            os.close(fd)

    def create(self, path: Path, at: HeldDirectory | None = None) -> int:
        """Open a new file for writing, mode 0600; FileExistsError if anything has that name."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        name, directory = _named(path, at)
        fd = os.open(name, flags, 0o600, dir_fd=directory)
        try:
            with not_known_here():
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
        with not_known_here():
            os.utime(fd, ns=(round(mtime * 1e9), round(mtime * 1e9)))

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def sync(self, fd: int) -> None:
        """Return once the file's bytes and times are durable. Never call twice after a failure."""
        os.fsync(fd)

    def watch_filesystem(self, path: Path, files: int) -> FilesystemWatch | None:
        """Begin to watch the file system of a directory in which so many files will be written.

        None: there it is better to sync each of them, now or in any case.
        """
        if files < MANY:
            return None
        watch = OpenDirectory(path)
        return watch if can_sync_whole(watch.fd) else None

    def close(self, fd: int) -> None:
        os.close(fd)

    def sync_directory(self, path: Path, at: HeldDirectory | None = None) -> None:
        """Return once the directory's entries are durable."""
        name, directory = _named(path, at)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        try:
            sync_handle(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path, at: HeldDirectory | None = None) -> None:
        source, directory = _named(old, at)
        target, _ = _named(new, at)
        os.rename(source, target, src_dir_fd=directory, dst_dir_fd=directory)

    def unlink(self, path: Path, at: HeldDirectory | None = None) -> None:
        """Remove a file; it is fine if it is not there."""
        name, directory = _named(path, at)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)

    def make_directory(self, path: Path, at: HeldDirectory | None = None) -> None:
        """Create one directory, mode 0700; one that is there stays as it is."""
        name, directory = _named(path, at)
        try:
            os.mkdir(name, 0o700, dir_fd=directory)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=directory).st_mode):
                raise
        else:
            with not_known_here():
                os.chmod(name, 0o700, dir_fd=directory)  # whatever the umask took away

    def append_line(self, path: Path, line: str, at: HeldDirectory | None = None) -> None:
        """Append one line to a small text file, mode 0600, durably.

        As with `open_regular`, nothing but a regular file is written to.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        name, directory = _named(path, at)
        fd = os.open(name, flags | os.O_CLOEXEC, 0o600, dir_fd=directory)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise system_error(errno.ENXIO, path)
            self.write(fd, f"{line}\n".encode())
            os.fsync(fd)
        finally:
            os.close(fd)


def _named(path: Path, at: HeldDirectory | None) -> tuple[Path | str, int | None]:
    return (path, None) if at is None else (at.below(path), at.fd)
