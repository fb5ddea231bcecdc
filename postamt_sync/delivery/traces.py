"""The names in a Maildir as traces of deliveries: what a lost ledger is rebuilt from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from postamt_sync.delivery.filename import parse_name
from postamt_sync.delivery.folder import folder_of
from postamt_sync.delivery.inhabited import mail_directories
from postamt_sync.ledger.traces import Trace


def traces(mailbox: str, root: Path) -> Iterator[Trace]:
    """Yield what lies in all folders under a name of ours, as the directories are read.

    A mail that a client moves meanwhile may be missed; a second look finds it. Raises OSError for
    the root and for a folder that cannot be read: mail may lie in it.
    """
    for folder, directory in mail_directories(root):
        yield from _traces(
            mailbox, root, (folder_of(folder[1:]) or "") if folder else "", directory
        )


def drafts(mailbox: str, root: Path) -> Iterator[Trace]:
    """Yield what lies in `tmp/` under a name of ours: deliveries that were under way."""
    yield from _traces(mailbox, root, "", root / "tmp", draft=True)


def _traces(
    mailbox: str, root: Path, folder: str, directory: Path, *, draft: bool = False
) -> Iterator[Trace]:
    try:
        entries = os.scandir(directory)
    except (FileNotFoundError, NotADirectoryError):  # no folder, or deleted a moment ago
        return
    with entries:
        for entry in entries:
            name = parse_name(entry.name)
            if name is None or name.is_letter:
                continue
            yield Trace(
                mail=name.mail_id,
                mailbox=mailbox,
                stem=name.stem,
                maildir=str(root),
                folder=folder,
                name=entry.name.partition(":")[0],
                etag_hash=name.etag_hash,
                edition=name.edition,
                stored_at=name.stored_at,
                draft=draft,
            )
