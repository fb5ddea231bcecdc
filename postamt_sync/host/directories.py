"""Directories reached as root without following a link that another user made.

Below a directory that someone else may write to, every name can become a link to anywhere between
a look and a deed. So the way is walked with open descriptors: a link counts only where none but
root can have placed it, and what is done is done to the directory that was opened. Who is not root
can do no more by a link than without one, and walks as usual.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable

ROOT = 0
MOST_LINKS = 40
"""What the kernel follows (path_resolution(7))."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PlantedLinkError(MisconfiguredError):
    """A link stands in the way that someone else can have made."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The way to {printable(str(path))} leads over a link, or a file, in a directory that "
            "others than root may write to; root does not follow it.",
            "Name the place itself, without the link.",
        )


@contextlib.contextmanager
def held(directory: Path) -> Iterator[Path]:
    """Yield a path to this very directory, whatever becomes of its name meanwhile.

    Raises PlantedLinkError, or OSError as open(2) does.
    """
    if os.geteuid() != ROOT:
        yield directory
        return
    handle, rest = _walk(directory)
    try:
        if rest:
            raise FileNotFoundError(2, os.strerror(2), str(directory))
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def may_be_a_link(place: Path) -> bool:
    """Tell whether a link in a held directory can be followed: only root can have made it."""
    if os.geteuid() != ROOT:
        return True
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _is_roots(handle)
    finally:
        os.close(handle)


def owner_of(directory: Path) -> int | None:
    """Return the user id of who owns a directory, or what there is of its way.

    None where it is a link, or can be reached only over someone's link: that proves nothing.
    Raises OSError where it cannot be seen.
    """
    if directory.is_symlink():
        return None
    try:
        handle, _ = _walk(directory)
    except PlantedLinkError:
        return None
    try:
        return os.fstat(handle).st_uid
    finally:
        os.close(handle)


def make_open(path: Path) -> None:
    """Make a directory and its missing parents, this user's, which everybody may look into.

    Raises PlantedLinkError, OSError.
    """
    if os.geteuid() != ROOT:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        return
    handle, missing = _walk(path)
    os.close(handle)
    make(path, pwd.getpwuid(ROOT).pw_name)
    for made in (path, *path.parents)[: len(missing)]:
        with held(made) as place:
            place.chmod(0o755)


def make(path: Path, user: str) -> None:
    """Make a directory and its missing parents for a user; one that is there stays as it is.

    Raises KeyError where there is no such user, PlantedLinkError, OSError.
    """
    account = pwd.getpwnam(user)
    handle, missing = _walk(path)
    made: list[int] = []
    try:
        for name in missing:
            os.mkdir(name, 0o700, dir_fd=made[-1] if made else handle)
            made.append(os.open(name, _DIRECTORY, dir_fd=made[-1] if made else handle))
            if not _is_new(made[-1]):
                os.close(made.pop())
                raise PlantedLinkError(path)
    finally:
        # Only now, the last one first: until then nobody but root can change anything in them.
        for each in reversed(made):
            os.fchown(each, account.pw_uid, account.pw_gid)
            os.close(each)
        os.close(handle)


def _is_new(handle: int) -> bool:
    """Tell whether a directory can be what we have just made, and not another that was put there
    under its name: whatever it is, there is nothing in it to be given away."""
    found = os.fstat(handle)
    ours = found.st_uid == ROOT and stat.S_IMODE(found.st_mode) & 0o777 == 0o700
    return ours and not os.listdir(handle)


def _walk(directory: Path) -> tuple[int, list[str]]:
    """Open what there is of a way; return the descriptor of the last directory, for the caller to
    close, and the names that are missing below it."""
    names = _names(directory)
    handle = os.open("/", _DIRECTORY)
    links = 0
    try:
        while names:
            name, *rest = names
            if name != ".." and _is_roots(handle) and (leads := _link(name, handle)) is not None:
                links += 1
                if links > MOST_LINKS:
                    directory.stat()  # says so, as open(2) does
                names = [*_names(Path(leads)), *rest]
                if leads.startswith("/"):
                    handle = _replaced(handle, os.open("/", _DIRECTORY))
                continue
            try:
                below = os.open(name, _DIRECTORY, dir_fd=handle)
            except FileNotFoundError:
                return handle, names
            handle = _replaced(handle, below)
            names = rest
    except BaseException as error:
        os.close(handle)
        if isinstance(error, OSError) and error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise PlantedLinkError(directory) from None
        raise
    return handle, []


def _names(path: Path) -> list[str]:
    return [part for part in path.parts if part != "/"]


def _replaced(old: int, new: int) -> int:
    os.close(old)
    return new


def _link(name: str, handle: int) -> str | None:
    """Return where a link leads; None: it is none, or is not there."""
    try:
        return os.readlink(name, dir_fd=handle)
    except OSError:
        return None


def _is_roots(handle: int) -> bool:
    """Tell whether root alone can make and rename what is in a directory."""
    found = os.fstat(handle)
    return found.st_uid == ROOT and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
