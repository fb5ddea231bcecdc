"""What a Maildir holds already, whoever put it there: its folders and where their mails lie."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from postamt_sync.delivery.folder import folder_of
from postamt_sync.mail.routing import caseless


def mail_directories(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield `new/` and `cur/` of the INBOX ("") and of each folder, which need not be there.

    A folder goes by its directory's name. Raises OSError where the root cannot be read.
    """
    names = sorted(path.name for path in root.iterdir() if path.name.startswith("."))
    for name in ("", *names):
        for part in ("new", "cur"):
            yield name, root / name / part


def existing_folder(root: Path, wanted: str) -> str:
    """Return the folder that is called so, whatever its case, "" where there is none.

    `wanted` is foreign text and meets no path: it is compared with the folders that are there.
    Links are none: what they lead to may lie on another disk. Raises OSError.
    """
    if not wanted:
        return ""
    with os.scandir(root) as entries:
        names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    for name in sorted(names):
        folder = folder_of(name[1:]) if name.startswith(".") else None
        if folder is None or caseless(folder) != caseless(wanted):
            continue
        if (root / name / "new").is_dir():
            return folder
    return ""
