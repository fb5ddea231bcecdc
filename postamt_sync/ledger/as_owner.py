"""Opening files in a directory as the user whose directory it is, where root does it for him.

Root's commands look into the state directory of the daemon's user, who can plant links there. And
what root made in it, that user could not open.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postamt_sync.owners_rights import ROOT, with_rights_of


@contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """Let the files that this thread opens be opened with the rights of a directory's owner.

    For anybody but root, and where the directory is root's or is not there, nothing changes.
    """
    owner = _owner(directory) if os.geteuid() == ROOT else None
    if owner is None:
        yield
        return
    with with_rights_of(owner.st_uid, owner.st_gid):
        yield


def _owner(directory: Path) -> os.stat_result | None:
    try:
        found = directory.stat()
    except OSError:  # which is said when it is used
        return None
    return None if found.st_uid == ROOT else found
