"""Looking for mail in the Maildirs: where known copies are now, and what no ledger tells of.

Each Maildir is gone through once, all of them at the same time. One whose disk hangs, or that this
user may not read, is told and holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from postamt_sync.delivery.disk import disk_trouble, open_mail
from postamt_sync.delivery.filename import FileName, parse_name
from postamt_sync.delivery.folder import folder_of
from postamt_sync.delivery.mailbox_threads import MailboxThreads
from postamt_sync.delivery.maildir_scan import our_names
from postamt_sync.errors import PostamtError
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.ledger.search_text import folded
from postamt_sync.ledger.tracks import Word
from postamt_sync.status.mail_header import LONGEST_HEAD, header_of_head

PATIENCE = 8.0
"""Seconds without an answer after which a disk is left out: a person waits."""
NAMES = 500
FLAGS = {
    "S": "seen",
    "R": "answered",
    "F": "flagged",
    "P": "passed on",
    "D": "draft",
    "T": "deleted",
}
"""maildir(5); letters of keywords are Dovecot's, and no flags."""


@dataclass(frozen=True, slots=True)
class MailFile:
    """One file of ours as it lies there now; `folder` is "" for the INBOX.

    `flags` are words; None: in `new/`, where no mail client has looked at it yet.
    """

    mailbox: str
    root: str
    folder: str
    path: str
    flags: tuple[str, ...] | None
    mail: str
    stem: str
    stored_at: float


@dataclass(slots=True)
class MaildirFindings:
    """`files` are copies that were asked for, `unknown` mails that only their files tell of."""

    files: list[MailFile] = field(default_factory=list)
    unknown: list[tuple[MailHeader, MailFile]] = field(default_factory=list)
    looked_at: int = 0
    problems: dict[str, PostamtError] = field(default_factory=dict)
    """By mailbox, why it could not be looked through."""


@dataclass(frozen=True, slots=True)
class MaildirSearch:
    """Asks for the files of known mails, and for words where nothing is remembered.

    `remembered` returns those of some mail ids whose header need not be read.
    """

    mails: Collection[str]
    words: Sequence[Word]
    remembered: Callable[[Collection[str]], set[str]]
    since: float | None = None
    patience: float = PATIENCE

    def through(self, roots: Iterable[tuple[str, Path]]) -> MaildirFindings:
        """Go through these Maildirs, given with the names of their mailboxes. Blocking."""
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
            names = _names(mailbox, root)
            batch: list[MailFile]
            while batch := threads.call(list, islice(names, NAMES)):
                findings.looked_at += len(batch)
                findings.files += [file for file in batch if file.mail in self.mails]
                known = self.remembered({file.mail for file in batch})
                unread = [f for f in batch if f.mail not in known and self._is_new_enough(f)]
                findings.unknown += threads.call(self._matching, unread)
        except OSError as error:
            findings.problems[mailbox] = disk_trouble(error, root)
        except PostamtError as error:
            findings.problems[mailbox] = error
        return findings

    def _is_new_enough(self, file: MailFile) -> bool:
        return self.since is None or file.stored_at >= self.since

    def _matching(self, files: Iterable[MailFile]) -> list[tuple[MailHeader, MailFile]]:
        found = []
        for file in files:
            header = _header(file)
            if header is not None and fits(self.words, header, file.mail):
                found.append((header, file))
        return found


def fits(words: Iterable[Word], header: MailHeader, *more: str) -> bool:
    """Tell whether a mail with this header has all words; `more` is text that is searched too."""
    text = folded("\n".join((header.text, *more)))
    return all(word.fits(text, header.stored_at) for word in words)


def _header(file: MailFile) -> MailHeader | None:
    try:
        with open_mail(Path(file.path)) as mail:
            head = mail.read(LONGEST_HEAD)
    except OSError:  # moved a moment ago, or closed to this user
        return None
    return header_of_head(file.mail, file.stored_at, head)


def _names(mailbox: str, root: Path) -> Iterator[MailFile]:
    for folder, entry, ours in our_names(root):
        name = parse_name(ours)
        if name is not None and not name.is_letter:
            yield _file(mailbox, root, folder, Path(entry.path), name)


def _file(mailbox: str, root: Path, folder: str, path: Path, name: FileName) -> MailFile:
    return MailFile(
        mailbox=mailbox,
        root=str(root),
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
    """Return the files of each mail, by its id."""
    found: dict[str, list[MailFile]] = {}
    for file in files:
        found.setdefault(file.mail, []).append(file)
    return found
