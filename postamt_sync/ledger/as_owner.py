"""Opening files in another user's directory with that user's rights, when running as root.

Commands that root types use the state directory of the daemon's user, who could plant links in it.
And the daemon could not open what root has created there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postamt_sync.owners_rights import ROOT, with_rights_of


@contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """Open files with the rights of the directory's owner while the context is open.

    This concerns the calling thread only. Nothing changes for users other than root, and if the
    directory is root's or does not exist.
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
    except OSError:  # reported when the directory is used
        return None
    return None if found.st_uid == ROOT else found
