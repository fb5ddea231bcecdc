"""Reads and writes Dovecot's files: whole or not at all, and so that a person's edits show.

The first line of what we render contains a hash of the rest.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from postamt_sync import atomic_file
from postamt_sync.errors import MisconfiguredError, TryLaterError, UsageError
from postamt_sync.host.directories import held, may_be_a_link

SECRET = 0o640
"""With Dovecot's group, for its auth process; 0600 if there is no such group."""

ROOTS_ONLY = atomic_file.PRIVATE
READERS = "dovecot"

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
"""Errors of file systems without hard links."""

_SEAL = re.compile(r"# Written by postamt-sync, do not edit: ([0-9a-f]{64})\n")


def sealed(text: str) -> str:
    """Return the text after a line with its hash, by which a later edit shows."""
    return f"# Written by postamt-sync, do not edit: {_digest(text)}\n{text}"


def edited(text: str) -> bool:
    """Whether someone else wrote this, or changed what we wrote."""
    seal = _SEAL.match(text)
    return seal is None or seal[1] != _digest(text[seal.end() :])


def write(path: Path, text: str, mode: int = atomic_file.PUBLIC, readers: str = READERS) -> None:
    """Replace a file as a whole; durable on return. It gets our mode and group, not the old ones.

    A SECRET file may be read by the group `readers`. Raises MisconfiguredError if this user may not
    write it, TryLaterError for other errors.
    """
    with _explained(path, path.parent):

        def finish(handle: int) -> None:
            if mode == SECRET:
                _hand_to_readers(handle, readers)
            _be_newer_than(path, handle)

        first = ROOTS_ONLY if mode == SECRET else mode
        with held(path.parent) as place:
            path = place / path.name
            atomic_file.write(path, text, first, finish=finish)


def read(path: Path) -> str | None:
    """Return a file's text; None if there is no file. Raises PostamtError."""
    with _explained(path, path.parent), held(path.parent) as place:
        flags = 0 if may_be_a_link(place) else os.O_NOFOLLOW
        try:
            handle = os.open(place / path.name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
        except FileNotFoundError:
            return None
        with os.fdopen(handle, encoding="utf-8", errors="surrogateescape") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(errno.EINVAL, "it is no regular file", str(path))
            return file.read()


def keep_aside(path: Path) -> Path:
    """Give a file that is about to be replaced a free second name, and return that."""
    with _explained(path, path.parent), held(path.parent) as place:
        for number in range(1, 1000):
            aside = path.with_name(f"{path.name}.before-{number}")
            with contextlib.suppress(FileExistsError):
                _give_another_name(place / path.name, place / aside.name)
                return aside
    raise UsageError(f"There are too many old copies of {path}.", "Delete some of them.")


def _give_another_name(old: Path, new: Path) -> None:
    """Give a file a second name. Raises FileExistsError if it is taken.

    Without hard links, make a copy that only its owner may read.
    """
    try:
        os.link(old, new, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        content = old.read_bytes()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(new, flags, atomic_file.PRIVATE), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Keep other writers of this directory's lists out while the context is open.

    Raises TryLaterError if there is one.
    """
    with _explained(directory, directory), held(directory) as place:
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TryLaterError(
                f"Another run is changing the lists in {directory}.", "Try again."
            ) from None
        except OSError as error:
            if error.errno not in {*_NO_LINKS, errno.ENOLCK}:
                raise
            # Without locks, two runs at once are up to the people who start them.
        yield
    finally:
        os.close(handle)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _hand_to_readers(handle: int, readers: str) -> None:
    """Let the group read a secret file, if it exists and we may."""
    with contextlib.suppress(KeyError, PermissionError):
        os.fchown(handle, -1, grp.getgrnam(readers).gr_gid)
        os.fchmod(handle, SECRET)


def _be_newer_than(path: Path, handle: int) -> None:
    """Set a later mtime than the old file's: Dovecot takes a list with the same size and the same
    second for unchanged."""
    with contextlib.suppress(FileNotFoundError):
        before = int(path.stat().st_mtime)
        if int(os.fstat(handle).st_mtime) <= before:
            os.utime(handle, (before + 1, before + 1))


@contextlib.contextmanager
def _explained(path: Path, directory: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MisconfiguredError(
            f"There is no directory {directory}.",
            "Install Dovecot first, or name another place with: --directory",
        ) from None
    except PermissionError:
        raise MisconfiguredError(
            f"User {os.geteuid()} may not write {path}.", "Run this with sudo."
        ) from None
    except OSError as error:
        raise TryLaterError(
            f"{path} cannot be written: {error.strerror}.", "Fix that and try again."
        ) from None
