"""A Maildir and its folders on the disk: names, parts, and Dovecot's list of what is subscribed.

`Junk` is the directory `.Junk` in the mailbox's root, `Lists/announce` is `.Lists.announce`, and
what is not ASCII is modified UTF-7, which both Dovecot 2.3 and 2.4 use on disk by default
(Courier's Maildir++; RFC 3501, 5.1.3). Making is blocking and durable on return; it raises OSError.
"""

from __future__ import annotations

import base64
import contextlib
import re
from pathlib import Path

from postamt_sync.config.folder import LONGEST_DIRECTORY, directory_name
from postamt_sync.delivery.disk import Disk, HeldDirectory
from postamt_sync.errors import MisconfiguredError
from postamt_sync.regular_file import read_small

PARTS = ("tmp", "new", "cur")
SUBSCRIPTIONS = "subscriptions"
LONGEST_LIST = 4 << 20
"""Bytes of a list of subscriptions that is read."""

_SHIFTED = re.compile("&([^-]*)-")


def folder_name(folder: str) -> str:
    """Return the folder's name as Dovecot lists it on disk (modified UTF-7, levels joined by `.`).

    `/` separates levels. Raises MisconfiguredError for a name that no Maildir++ can hold.
    """
    levels = folder.split("/")
    if not all(levels) or any(not c.isprintable() or c == "." for c in folder):
        raise MisconfiguredError(
            f"The folder {folder!r} cannot be kept in a Maildir.",
            "Use printable letters without a dot, levels separated by one slash: Junk, Lists/Club",
        )
    name = directory_name(levels)
    if len(name) > LONGEST_DIRECTORY:
        raise MisconfiguredError(
            f"The folder name {folder!r} is too long for a directory.", "Choose a shorter one."
        )
    return name


def folder_of(name: str) -> str | None:
    """Return the folder of a directory's name without its dot; None if we would name it otherwise.

    The inverse of `folder_name`, levels separated by `/`.
    """
    try:
        folder = "/".join(_SHIFTED.sub(_unshifted, level) for level in name.split("."))
        return folder if folder_name(folder) == name else None
    except (ValueError, MisconfiguredError):  # no Base64, no UTF-16, no folder
        return None


def _unshifted(match: re.Match[str]) -> str:
    if not match[1]:
        return "&"
    padded = match[1] + "=" * (-len(match[1]) % 4)
    return base64.b64decode(padded, altchars=b"+,", validate=True).decode("utf-16-be")


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


def subscribe(name: str, root: Path, disk: Disk, at: HeldDirectory) -> None:
    """Add a folder, named as on disk, to the list of the root that is held, unless it is there.

    Raises OSError, also for a list that is no regular file or is too long.
    """
    try:
        text = read_small(SUBSCRIPTIONS, LONGEST_LIST, at.fd)
    except FileNotFoundError:
        text = b""
    known = text.split(b"\n")
    # Dovecot's second format of this file begins with a version line and separates by tabs.
    entry = name.replace(".", "\t") if known[0] == b"V\t2" else name
    if entry.encode() not in known:
        # An edited file may lack its last line end: ours must not run on from that line.
        disk.append_line(root / SUBSCRIPTIONS, f"\n{entry}" if known[-1] else entry, at)
