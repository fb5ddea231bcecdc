"""The marker in a Maildir's root, by which it is known again, and how far its files reach.

    {"id": "<32 hex digits>", "generation": <n>}

The id is drawn when the root is first used and never changes. The generation counts the groups of
mails that were published into the root; the ledger has the same number, and with each copy the one
that was written after it. So a root whose number is behind the ledger's has lost files, and one
without a marker is another directory: most likely the mount point of a disk that is away. Device
and inode would say nothing: they change at reboots and restores.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shlex
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.atomic_file import not_known_here
from postamt_sync.delivery.disk import Disk, HeldDirectory
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable
from postamt_sync.regular_file import read_small

MARKER = "postamt-sync.marker"
"""Its name. No folder is called so: folders begin with a dot."""
LONGEST_MARKER = 1024

_NEXT = f"{MARKER}.new"
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


class MailboxVanishedError(TryLaterError):
    """A Maildir that was there once is not: most likely its disk is not mounted."""


@dataclass(frozen=True, slots=True)
class Marker:
    """The content of a marker."""

    id: str
    generation: int = 0


def new_marker() -> Marker:
    """Return a marker for a root that never had one."""
    return Marker(secrets.token_hex(16))


def read_marker(root: HeldDirectory) -> Marker | None:
    """Return the root's marker, None if it has none; raises OSError.

    Raises TryLaterError for what is no marker of ours: nobody can say what it stood for.
    """
    try:
        text = read_small(MARKER, LONGEST_MARKER, root.fd)
    except FileNotFoundError:
        return None
    with contextlib.suppress(ValueError, TypeError, KeyError):
        said = json.loads(text)
        marker = Marker(said["id"], said["generation"])
        if _ID.fullmatch(marker.id) and type(marker.generation) is int and marker.generation >= 0:
            return marker
    raise TryLaterError(
        f"{printable(str(root.path / MARKER))} is damaged.",
        "If this is the right Maildir, remove the file; its mail waits meanwhile.",
    )


def write_marker(disk: Disk, root: HeldDirectory, marker: Marker) -> None:
    """Replace the root's marker, whole or not at all; durable on return. Raises OSError."""
    path, new = root.path / MARKER, root.path / _NEXT
    text = json.dumps({"id": marker.id, "generation": marker.generation})
    try:
        fd = disk.create(new, root)
    except FileExistsError:  # a crash left it
        disk.unlink(new, root)
        fd = disk.create(new, root)
    try:
        if os.geteuid() == 0:  # a person accepts a mailbox that belongs to another user
            owner = os.fstat(root.fd)
            with not_known_here():
                os.fchown(fd, owner.st_uid, owner.st_gid)
        disk.write(fd, f"{text}\n".encode())
        disk.sync(fd)
    finally:
        disk.close(fd)
    disk.rename(new, path, root)
    disk.sync_directory(root.path, root)


def unlike(root: Path, mailbox: str, found: Marker | None) -> MailboxVanishedError:
    """Say that another directory is in the place of a Maildir that was there once."""
    what = "bears another mailbox's marker" if found else "bears neither our marker nor our mail"
    return MailboxVanishedError(
        f"The Maildir {printable(str(root))} is not the one that was there: it {what}.",
        "Mount its disk; the mail waits, and nothing is written in its place. "
        f"If this is the right one from now on: postamt-sync mailbox accept {shlex.quote(mailbox)}",
    )
