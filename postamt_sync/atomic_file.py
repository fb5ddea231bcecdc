"""Writing a file whole or not at all, and never for a moment more open than it is to be.

The content goes into a new file beside the place, `.NAME.new`, which has its owner and mode before
its first byte, is synced and takes the place by a rename; the directory is synced after it. So a
reader sees the old file or the new one, also after a power failure. A symbolic link at the place
is replaced, what it leads to stays; one at `.NAME.new`, or what a write that was cut off left
there, is taken away and never written into.

Everything raises OSError: what that means for a person, the caller knows. Two who write the same
file at once must keep each other out; without that one of them fails.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

PRIVATE = 0o600
"""For what only its owner may read."""
PUBLIC = 0o644

_NOT_KNOWN_HERE = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY}

Owner = tuple[int, int]
"""User and group id; -1 leaves one as it is."""


def write(
    path: Path,
    content: str | bytes,
    mode: int = PRIVATE,
    *,
    owner: Owner = (-1, -1),
    finish: Callable[[int], None] = lambda _: None,
) -> None:
    """Make `path` a file with this content; durable on return.

    `finish` is given the descriptor of the new file when all is written, before it is synced, to
    set its times. After an exception the old file is there, if there was one.
    """
    draft = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    data = content.encode(errors="surrogateescape") if isinstance(content, str) else content
    try:
        made = _fill(draft, data, mode, owner, finish)
        _expect(draft, made)
        move(draft, path)
    except FileExistsError:
        raise  # it is not ours
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def move(source: Path, target: Path) -> None:
    """Rename within a directory, over what is there; durable on return."""
    source.replace(target)
    sync(target.parent)


def make_private(path: Path) -> None:
    """Make an empty file for someone else to fill, who would make it readable for everybody."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(path, flags, PRIVATE))


def sync(path: Path) -> None:
    """Sync a file or a directory."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sync_handle(handle)
    finally:
        os.close(handle)


def sync_handle(handle: int) -> None:
    """Sync a file or a directory by its descriptor.

    Where a file system over a network, or in user space, cannot sync a directory, all of it is
    synced, which takes the names along.
    """
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NOT_KNOWN_HERE or not stat.S_ISDIR(os.fstat(handle).st_mode):
            raise
        sync_filesystem(handle)


def sync_filesystem(handle: int) -> None:
    """Return once all that was written to the file system of an open file is durable (syncfs(2)).

    Raises OSError; from Linux 5.8 on also where anything could not be written since this file was
    opened. Raises AttributeError where the C library lacks it.
    """
    if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def not_known_here() -> contextlib.AbstractContextManager[None]:
    """Pass over what a file system refuses that has no modes, owners or times of its own.

    So do vfat, exFAT, and many that a server or a program in user space keeps.
    """
    return _PASSING_OVER


class _PassingOver(contextlib.AbstractContextManager[None]):
    """Made once: it stands around two calls for each mail."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        return isinstance(error, OSError) and error.errno in _NOT_KNOWN_HERE


_PASSING_OVER = _PassingOver()


def _set_mode(handle: int, mode: int) -> None:
    """Set a file's mode; one that cannot be set must not let in more than was asked for."""
    try:
        os.fchmod(handle, mode)  # the umask has no say
    except OSError as error:
        open_for = stat.S_IMODE(os.fstat(handle).st_mode)
        if error.errno not in _NOT_KNOWN_HERE or open_for & ~mode:
            raise


def _expect(draft: Path, inode: int) -> None:
    if draft.lstat().st_ino != inode:
        raise OSError(errno.EBUSY, "someone else is just writing it", str(draft))


def _fill(draft: Path, data: bytes, mode: int, owner: Owner, finish: Callable[[int], None]) -> int:
    """Write and sync a new file, and return its inode's number."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(draft, flags, PRIVATE), "wb") as file:
        handle = file.fileno()
        if owner != (-1, -1):
            os.fchown(handle, *owner)
        _set_mode(handle, mode)
        file.write(data)
        file.flush()
        finish(handle)
        os.fsync(handle)
        return os.fstat(handle).st_ino
