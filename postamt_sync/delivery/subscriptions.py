"""Dovecot's list of the folders that a mail client shows: `subscriptions` in a Maildir's root."""

from __future__ import annotations

from pathlib import Path

from postamt_sync.delivery.disk import Disk, HeldDirectory
from postamt_sync.regular_file import read_small

FILE_NAME = "subscriptions"
LONGEST = 4 << 20
"""Bytes of a list that is read."""


def subscribe(name: str, root: Path, disk: Disk, at: HeldDirectory) -> None:
    """Add a folder, named as on disk, to the list of the root that is held, unless it is there.

    Raises OSError, also for a list that is no regular file or is too long.
    """
    try:
        text = read_small(FILE_NAME, LONGEST, at.fd)
    except FileNotFoundError:
        text = b""
    known = text.split(b"\n")
    # Dovecot's second format of this file begins with a version line and separates by tabs.
    entry = name.replace(".", "\t") if known[0] == b"V\t2" else name
    if entry.encode() not in known:
        # An edited file may lack its last line end: ours must not run on from that line.
        disk.append_line(root / FILE_NAME, f"\n{entry}" if known[-1] else entry, at)
