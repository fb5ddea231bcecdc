"""Looks for mail in the Maildirs: where known copies are now, and what the ledger does not know.

Each Maildir is searched once, all of them at the same time. One whose disk hangs, or that this
user may not read, is named and does not delay the others.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from postamt_sync.delivery.disk import disk_trouble, open_mail
from postamt_sync.delivery.filename import mail_and_stem, parse_name
from postamt_sync.delivery.folder import folder_of
from postamt_sync.delivery.mailbox_threads import MailboxThreads
from postamt_sync.delivery.maildir_scan import our_names
from postamt_sync.errors import PostamtError
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.ledger.search_text import folded
from postamt_sync.ledger.tracks import Word
from postamt_sync.mail.header_block import whole_header
from postamt_sync.status.mail_header import LONGEST_HEAD, header_of_head

PATIENCE = 8.0
"""Seconds without an answer after which a disk is left out, since a person is waiting."""
NAMES = 2_000
"""The number of names handled in one call; a disk that completes them does not hang."""
FILES = 200
FLAGS = {
    "S": "seen",
    "R": "answered",
    "F": "flagged",
    "P": "passed on",
    "D": "draft",
    "T": "deleted",
}
"""As in maildir(5); lower-case letters are Dovecot's keywords, not flags."""


@dataclass(frozen=True, slots=True)
class MailFile:
    """One file of ours as it is now; `folder` is "" for the INBOX.

    `flags` are words; None in `new/`, where no mail client has seen it yet.
    """

    mailbox: str
    folder: str
    path: str
    flags: tuple[str, ...] | None
    mail: str
    stem: str
    stored_at: float


@dataclass(slots=True)
class MaildirFindings:
    """`files` are the copies that were asked for, `unknown` mails known only by their files."""

    files: list[MailFile] = field(default_factory=list)
    unknown: list[tuple[MailHeader, MailFile]] = field(default_factory=list)
    looked_at: int = 0
    problems: dict[str, PostamtError] = field(default_factory=dict)
    """By mailbox, why it could not be searched."""


@dataclass(frozen=True, slots=True)
class MaildirSearch:
    """Looks for the files of known mails, and for words in mail that is not remembered.

    `remembered` are the mail IDs whose header need not be read.
    """

    mails: Collection[str]
    words: Sequence[Word]
    remembered: Container[str]
    since: float | None = None
    patience: float = PATIENCE

    def through(self, roots: Iterable[tuple[str, Path]]) -> MaildirFindings:
        """Search these Maildirs, which come with the names of their mailboxes. Blocking."""
        findings = MaildirFindings()
        places = list(dict.fromkeys(roots))
        with ThreadPoolExecutor(max(1, len(places)), "find") as pool:
            for each in pool.map(self._one, places):
                findings.files += each.files
                findings.unknown += each.unknown
                findings.looked_at += each.looked_at
                findings.problems |= each.problems
        return findings

    def _one(self, place: tuple[str, Path]) -> MaildirFindings:
        mailbox, root = place
        findings = MaildirFindings()
        threads = MailboxThreads(mailbox, patience=self.patience)
        try:
            names = threads.call(our_names, root)
            batch: list[tuple[str, os.DirEntry[str], str]]
            while batch := threads.call(list, islice(names, NAMES)):
                ours = [(mail_and_stem(name), folder, entry, name) for folder, entry, name in batch]
                mails = [each for each in ours if each[0] is not None]
                findings.looked_at += len(mails)
                files = [
                    _file(mailbox, folder, entry, name)
                    for known, folder, entry, name in mails
                    if known and (known[0] in self.mails or known[0] not in self.remembered)
                ]
                findings.files += [file for file in files if file.mail in self.mails]
                unread = [f for f in files if f.mail not in self.remembered and self._is_new(f)]
                for first in range(0, len(unread), FILES):
                    some = unread[first : first + FILES]
                    findings.unknown += threads.call(self._matching, some)
        except OSError as error:
            findings.problems[mailbox] = disk_trouble(error, root)
        except PostamtError as error:
            findings.problems[mailbox] = error
        return findings

    def _is_new(self, file: MailFile) -> bool:
        return self.since is None or file.stored_at >= self.since

    def _matching(self, files: Iterable[MailFile]) -> list[tuple[MailHeader, MailFile]]:
        found = []
        for file in files:
            try:
                with open_mail(Path(file.path)) as mail:
                    head = mail.read(LONGEST_HEAD)
            except OSError:  # moved a moment ago, or closed to this user
                continue
            if surely_lacks(head, self.words, file.mail):
                continue
            header = header_of_head(file.mail, file.stored_at, head)
            if fits(self.words, header, file.mail):
                found.append((header, file))
        return found


def fits(words: Iterable[Word], header: MailHeader, *more: str) -> bool:
    """Tell whether a mail with this header has all words; `more` is further text to search."""
    text = folded("\n".join((header.text, *more)))
    return all(word.fits(text, header.stored_at) for word in words)


def surely_lacks(head: bytes, words: Iterable[Word], *more: str) -> bool:
    """Tell, without decoding it, whether a header cannot have all words; False proves nothing.

    If nothing is encoded, what is not in the bytes is not in the text.
    """
    flat = b" ".join(whole_header(head).lower().split())
    if b"=?" in flat or not flat.isascii():
        return False
    return any(
        word.is_text
        and word.text.encode(errors="replace") not in flat
        and not any(word.text in other for other in more)
        for word in words
    )


def _file(mailbox: str, folder: str, entry: os.DirEntry[str], ours: str) -> MailFile:
    path, name = Path(entry.path), parse_name(ours)
    assert name is not None  # its name was parsed as that of a mail already
    return MailFile(
        mailbox=mailbox,
        folder=(folder_of(folder[1:]) or folder[1:]) if folder else "",
        path=str(path),
        flags=None if path.parent.name == "new" else _flags(path.name),
        mail=name.mail_id,
        stem=name.stem,
        stored_at=name.stored_at,
    )


def _flags(name: str) -> tuple[str, ...]:
    letters = name.rpartition(":2,")[2] if ":2," in name else ""
    return tuple(word for letter, word in FLAGS.items() if letter in letters)


def by_mail(files: Iterable[MailFile]) -> Mapping[str, list[MailFile]]:
    """Return the files of each mail, by its ID."""
    found: dict[str, list[MailFile]] = {}
    for file in files:
        found.setdefault(file.mail, []).append(file)
    return found
