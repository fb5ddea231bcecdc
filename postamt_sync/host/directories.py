"""Reaches directories as root without following a link that another user made.

Below a directory that someone else may write to, any name can become a link to anywhere between
check and use. So paths are walked with open descriptors: a link is followed only if nobody but root
can have made it, and operations act on the directory that was opened. For users other than root, a
link gives no more power than they have anyway, so paths are used as usual.
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
"""How many links the kernel follows (path_resolution(7))."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PlantedLinkError(MisconfiguredError):
    """A path leads over a link that someone other than root may have made."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"The way to {printable(str(path))} leads over a link, or a file, in a directory that "
            "others than root may write to; root does not follow it.",
            "Name the place itself, without the link.",
        )


@contextlib.contextmanager
def held(directory: Path) -> Iterator[Path]:
    """Yield a path that keeps leading to this very directory, whatever happens to its name.

    Raises PlantedLinkError, or OSError like open(2).
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
    """Whether links in a held directory may be followed, because only root can have made them."""
    if os.geteuid() != ROOT:
        return True
    handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _is_roots(handle)
    finally:
        os.close(handle)


def owner_of(directory: Path) -> int | None:
    """Return the user id of the owner of a directory, or of its closest existing parent.

    None if it is a link, or can be reached only over someone's link, because that proves nothing.
    Raises OSError if it is not accessible.
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
    """Create a directory and its missing parents, owned by this user, readable by everybody.

    Raises PlantedLinkError or OSError.
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
    """Create a directory and its missing parents, owned by `user`; existing ones stay as they are.

    Raises KeyError if there is no such user, PlantedLinkError or OSError.
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
        # Only now, and deepest first: until then nobody but root can change anything in them.
        for each in reversed(made):
            os.fchown(each, account.pw_uid, account.pw_gid)
            os.close(each)
        os.close(handle)


def _is_new(handle: int) -> bool:
    """Whether a directory can be the one that we have just created, rather than one that somebody
    put in its place. Either way it is empty, so giving it away does no harm."""
    found = os.fstat(handle)
    ours = found.st_uid == ROOT and stat.S_IMODE(found.st_mode) & 0o777 == 0o700
    return ours and not os.listdir(handle)


def _walk(directory: Path) -> tuple[int, list[str]]:
    """Open the existing part of a path; return the descriptor of its last directory, which the
    caller must close, and the names missing below it."""
    names = _names(directory)
    handle = os.open("/", _DIRECTORY)
    links = 0
    try:
        while names:
            name, *rest = names
            if name != ".." and _is_roots(handle) and (leads := _link(name, handle)) is not None:
                links += 1
                if links > MOST_LINKS:
                    directory.stat()  # raises ELOOP, like open(2)
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
    """Return the target of a link; None if it is not one, or does not exist."""
    try:
        return os.readlink(name, dir_fd=handle)
    except OSError:
        return None


def _is_roots(handle: int) -> bool:
    """Whether only root can create and rename entries in a directory."""
    found = os.fstat(handle)
    return found.st_uid == ROOT and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
