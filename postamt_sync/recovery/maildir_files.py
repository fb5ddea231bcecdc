"""The files in the Maildirs that have names of ours, in a temporary table.

That is a private SQLite database which is gone with its connection, so that a million names take
little memory.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.delivery.disk import disk_trouble
from postamt_sync.delivery.filename import parse_name
from postamt_sync.delivery.maildir_scan import our_names

BATCH = 1000


@dataclass(frozen=True, slots=True)
class MaildirFile:
    """One file. `size` is in bytes, `named` the size that is in its name, None if there is none."""

    mail: str
    mailbox: str
    stem: str
    path: str
    size: int
    named: int | None
    etag_hash: str


class MaildirFiles:
    """Call `fill` for each Maildir, then `filled`, then ask. Blocking; for one thread at a time."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(
            "CREATE TABLE files (mail TEXT, mailbox TEXT, stem TEXT, path TEXT, size INTEGER,"
            " named INTEGER, etag_hash TEXT); CREATE TABLE seen (mail TEXT PRIMARY KEY)"
            " WITHOUT ROWID"
        )

    def close(self) -> None:
        self._db.close()

    def fill(self, mailbox: str, root: Path) -> int:
        """Take in the files in all folders of a Maildir; return how many there are.

        Raises TryLaterError if something cannot be read.
        """
        count = 0
        try:
            files = _files(mailbox, root)
            while batch := list(itertools.islice(files, BATCH)):
                count += len(batch)
                self._db.execute("BEGIN")
                self._db.executemany(
                    "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (f.mail, f.mailbox, f.stem, f.path, f.size, f.named, f.etag_hash)
                        for f in batch
                    ],
                )
                self._db.execute("COMMIT")
        except OSError as error:
            raise disk_trouble(error, Path(error.filename or root)) from error
        return count

    def filled(self) -> None:
        """Index the table, once all Maildirs have been taken in."""
        self._db.execute("CREATE INDEX by_mail ON files (mail)")

    def of(self, mails: Sequence[str]) -> dict[str, list[MaildirFile]]:
        """Return the files of these mails, by mail id, and note that these were asked for."""
        found: dict[str, list[MaildirFile]] = {}
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO seen VALUES (?)", [(m,) for m in mails])
        for mail in mails:
            for row in self._db.execute("SELECT * FROM files WHERE mail = ?", (mail,)):
                found.setdefault(mail, []).append(MaildirFile(*row))
        self._db.execute("COMMIT")
        return found

    def unseen(self) -> Iterator[list[MaildirFile]]:
        """Yield the files whose mails nobody has asked for, in batches, sorted by path."""
        rows = self._db.execute(
            "SELECT * FROM files WHERE mail NOT IN (SELECT mail FROM seen) ORDER BY path"
        )
        while batch := rows.fetchmany(BATCH):
            yield [MaildirFile(*row) for row in batch]


def stems(roots: Iterable[tuple[str, Path]]) -> set[tuple[str, str]]:
    """Return (mailbox, stem) of all files of ours that are there now; raises TryLaterError."""
    found = set()
    for mailbox, root in roots:
        try:
            found |= {(mailbox, file.stem) for file in _files(mailbox, root, measure=False)}
        except OSError as error:
            raise disk_trouble(error, Path(error.filename or root)) from error
    return found


def _files(mailbox: str, root: Path, *, measure: bool = True) -> Iterator[MaildirFile]:
    for _, entry, ours in our_names(root):
        name = parse_name(ours)
        if name is None or name.is_letter:
            continue
        with contextlib.suppress(FileNotFoundError):  # moved a moment ago
            size = entry.stat(follow_symlinks=False).st_size if measure else 0
            # A file that Dovecot has renamed has other line ends than we wrote.
            named = name.size if ours == entry.name else None
            yield MaildirFile(
                name.mail_id, mailbox, name.stem, entry.path, size, named, name.etag_hash
            )
