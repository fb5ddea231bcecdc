"""The names in a Maildir as traces of deliveries: what a lost ledger is rebuilt from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from postamt_sync.delivery.filename import mail_and_stem, parse_name
from postamt_sync.delivery.folder import folder_of
from postamt_sync.delivery.maildir_scan import our_names
from postamt_sync.ledger.found_copies import FoundCopy


def found_copies(mailbox: str, root: Path) -> Iterator[FoundCopy]:
    """Yield what lies in all folders under a name of ours, as `our_names` does."""
    for folder, _, ours in our_names(root):
        trace = _trace(mailbox, root, (folder_of(folder[1:]) or "") if folder else "", ours)
        if trace is not None:
            yield trace


def stems(root: Path) -> Iterator[tuple[str, str]]:
    """Yield mail id and stem of what `found_copies` yields, a few times as fast."""
    return filter(None, (mail_and_stem(ours) for _, _, ours in our_names(root)))


def drafts(mailbox: str, root: Path) -> Iterator[FoundCopy]:
    """Yield what lies in `tmp/` under a name of ours: deliveries that were under way."""
    with os.scandir(root / "tmp") as entries:
        for entry in entries:
            trace = _trace(mailbox, root, "", entry.name, draft=True)
            if trace is not None:
                yield trace


def _trace(
    mailbox: str, root: Path, folder: str, ours: str, *, draft: bool = False
) -> FoundCopy | None:
    name = parse_name(ours)
    if name is None or name.is_letter:
        return None
    return FoundCopy(
        mail=name.mail_id,
        mailbox=mailbox,
        stem=name.stem,
        maildir=str(root),
        folder=folder,
        name=ours.partition(":")[0],
        etag_hash=name.etag_hash,
        edition=name.edition,
        stored_at=name.stored_at,
        draft=draft,
    )
