"""What a Maildir holds already: its folders, whoever made them, and the mails with our names."""

from __future__ import annotations

import errno
import os
from collections.abc import Container, Iterator
from pathlib import Path

from postamt_sync.config.folder import is_nameable
from postamt_sync.delivery.filename import SUFFIX, mail_and_stem, parse_name
from postamt_sync.delivery.folder import folder_of
from postamt_sync.ledger.found_copies import FoundCopy
from postamt_sync.mail.routing import caseless
from postamt_sync.regular_file import open_regular

LONGEST_LINE = 1 << 16
"""Characters of a line of `dovecot-uidlist`: a number, some fields, and a file's name."""


def mail_directories(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield `new/` and `cur/` of the INBOX ("") and of each folder, which need not be there.

    A folder goes by its directory's name. Raises OSError where the root cannot be read.
    """
    our_names = sorted(path.name for path in root.iterdir() if path.name.startswith("."))
    for name in ("", *our_names):
        for part in ("new", "cur"):
            yield name, root / name / part


def our_names(root: Path) -> Iterator[tuple[str, os.DirEntry[str], str]]:
    """Yield folder, entry and name of ours of each file in `new/` and `cur/` that has, or had, one.

    Where Dovecot cannot move a mail by a hard link it writes a copy under a name of its own, and
    remembers ours as the mail's GUID in the folder's `dovecot-uidlist`. A mail that a client moves
    meanwhile may be missed; a second look finds it. Raises OSError for the root, and for a folder
    or such a list that cannot be read.
    """
    for folder, directory in mail_directories(root):
        try:
            entries = os.scandir(directory)
        except (FileNotFoundError, NotADirectoryError):  # no folder, or deleted a moment ago
            continue
        renamed: dict[str, str] | None = None
        with entries:
            for entry in entries:
                if SUFFIX in entry.name:
                    yield folder, entry, entry.name
                    continue
                if renamed is None:
                    renamed = _renamed(directory.parent)
                if ours := renamed.get(entry.name.partition(":")[0]):
                    yield folder, entry, ours


def _renamed(folder: Path) -> dict[str, str]:
    """Return our names of the mails of a folder by the names that Dovecot has given them.

    Raises OSError where the list is there and cannot be read: our mail may be behind any name.
    """
    found: dict[str, str] = {}
    path = folder / "dovecot-uidlist"
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return found
    with os.fdopen(descriptor, errors="replace") as lines:
        while line := lines.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
            # <uid> [<letter><value> ...] :<file name>
            fields, _, name = line.rstrip("\n").partition(" :")
            if SUFFIX not in fields:
                continue
            for field in fields.split(" ")[1:]:
                if field.startswith("G") and mail_and_stem(field[1:]) is not None:
                    found[name.partition(":")[0]] = field[1:]
    return found


def existing_folder(root: Path, wanted: str) -> str:
    """Return the folder that is called so, whatever its case, "" where there is none.

    `wanted` is foreign text and meets no path: it is compared with the folders that are there.
    Links are none: what they lead to may lie on another disk. Neither is what Dovecot cannot name:
    nobody would see the mail. Raises OSError.
    """
    if not wanted:
        return ""
    with os.scandir(root) as entries:
        our_names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
    for name in sorted(our_names):
        folder = folder_of(name[1:]) if name.startswith(".") else None
        if folder is None or caseless(folder) != caseless(wanted):
            continue
        if not is_nameable(folder.split("/")):
            continue
        if (root / name / "new").is_dir():
            return folder
    return ""


def found_copies(mailbox: str, root: Path) -> Iterator[FoundCopy]:
    """Yield what lies in all folders under a name of ours, as `our_names` does.

    A lost ledger is rebuilt from these.
    """
    for folder, _, ours in our_names(root):
        trace = _trace(mailbox, root, (folder_of(folder[1:]) or "") if folder else "", ours)
        if trace is not None:
            yield trace


def stems(root: Path) -> Iterator[tuple[str, str]]:
    """Yield mail id and stem of what `found_copies` yields, a few times as fast."""
    return filter(None, (mail_and_stem(ours) for _, _, ours in our_names(root)))


def paths_of(root: Path, wanted: Container[str]) -> Iterator[tuple[str, Path]]:
    """Yield stem and path of the files with one of these stems; raises as `our_names` does."""
    for _, entry, ours in our_names(root):
        name = parse_name(ours)
        if name is not None and name.stem in wanted:
            yield name.stem, Path(entry.path)


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
