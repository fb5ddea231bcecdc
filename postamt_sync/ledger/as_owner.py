"""Opening files in a directory as the user whose directory it is, where root does it for him.

Root's commands look into the state directory of the daemon's user, who can plant links there. And
what root made in it, that user could not open.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = 0


@contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """Let the files that this thread opens be opened with the rights of a directory's owner.

    For anybody but root, and where the directory is root's or is not there, nothing changes.
    """
    owner = _owner(directory) if os.geteuid() == _ROOT else None
    if owner is None:
        yield
        return
    system = ctypes.CDLL(None)
    group = system.setfsgid(owner.st_gid)  # the group first: then the right to do so is gone
    user = system.setfsuid(owner.st_uid)
    try:
        yield
    finally:
        system.setfsuid(user)
        system.setfsgid(group)


def _owner(directory: Path) -> os.stat_result | None:
    try:
        found = directory.stat()
    except OSError:  # which is said when it is used
        return None
    return None if found.st_uid == _ROOT else found
