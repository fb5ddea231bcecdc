"""Doing with files what root is asked to, with no more rights than whoever could mislead it has.

On a way that leads through the directory of another user, that user can make of each name a link to
anywhere. So root acts there with the rights of the first such user: where the links lead, he could
have gone himself, and what is made is his.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

ROOT = 0
_MOST_LINKS = 40
"""What the kernel follows (path_resolution(7))."""


@contextlib.contextmanager
def with_rights_of(user: int, group: int) -> Iterator[None]:
    """Let this thread, which is root's, open and make files with the rights of somebody else."""
    system = ctypes.CDLL(None)
    former_group = system.setfsgid(group)  # the group first: then the right to do so is gone
    former_user = system.setfsuid(user)
    try:
        yield
    finally:
        system.setfsuid(former_user)
        system.setfsgid(former_group)


@contextlib.contextmanager
def on_the_way_to(path: Path) -> Iterator[None]:
    """Act with the rights of whoever can mislead root on this way, a link at its end included.

    For anybody but root, and where none but root can, nothing changes. Raises OSError where anybody
    can, since nobody's rights would be right then.
    """
    found = _first_of_others(path.absolute()) if os.geteuid() == ROOT else None
    if found is None:
        yield
        return
    with with_rights_of(found.st_uid, found.st_gid):
        yield


def make_directories(path: Path) -> None:
    """Make a directory and its missing parents, for this user alone, each as `on_the_way_to` says.

    Raises OSError.
    """
    if path.is_dir():
        return
    if path.parent != path:
        make_directories(path.parent)
    with on_the_way_to(path), contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)


def _first_of_others(path: Path) -> os.stat_result | None:
    """Return what on a way is not root's, the first of it; None where all that is there is."""
    names = _names(path)
    at = Path("/")
    links = 0
    while names:
        parent = at.lstat()
        at = at / names.pop(0)
        try:
            found = at.lstat()
        except FileNotFoundError:
            return None
        if found.st_uid != ROOT:
            return found
        if parent.st_mode & stat.S_IWOTH and not parent.st_mode & stat.S_ISVTX:
            raise PermissionError(errno.EPERM, "anybody may write to a directory above it", str(at))
        if stat.S_ISLNK(found.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            leads = at.readlink()
            names = [*_names(leads), *names]
            at = Path("/") if leads.is_absolute() else at.parent
    return None


def _names(path: Path) -> list[str]:
    return [part for part in path.parts if part != "/"]
