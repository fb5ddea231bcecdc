"""Making a Maildir or a folder of one: `tmp new cur`, durably. Blocking; raises OSError."""

from __future__ import annotations

import contextlib
from pathlib import Path

from postamt_sync.delivery.disk import Disk, HeldDirectory

PARTS = ("tmp", "new", "cur")


def make_root(disk: Disk, root: Path) -> None:
    """Create the root of a Maildir with missing parents and its parts, all durable on return."""
    line = [root, *root.parents]
    there = next(path for path in line if path.is_dir())
    # We may have made it just before a crash; where we may not read we have made nothing.
    with contextlib.suppress(PermissionError):
        disk.sync_directory(there.parent)
    for path in reversed(line[: line.index(there)]):
        disk.make_directory(path)
        disk.sync_directory(path.parent)
    with disk.held(root) as at:
        make_parts(disk, root, at)


def make_parts(disk: Disk, directory: Path, at: HeldDirectory) -> None:
    """Create the parts of a Maildir or folder, which stay as they are where they are there."""
    for part in PARTS:
        disk.make_directory(directory / part, at)
    disk.sync_directory(directory, at)
