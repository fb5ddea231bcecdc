"""The configured mailboxes as Maildirs: made the first time, and only then."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.ledger.work import Work


class Mailboxes:
    """Finds a mailbox's Maildir by name. Blocking; safe in any thread."""

    def __init__(
        self,
        roots: Iterable[tuple[str, Path]],
        work: Work,
        disk: Disk,
        folders: Iterable[str] = (),
    ) -> None:
        """`folders` are made where they are missing; all others only ever used."""
        self.folders = frozenset(folders)
        self._work = work
        self._disk = disk
        self._maildirs = {name: Maildir(root, disk) for name, root in roots}
        self._known: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._maildirs

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._maildirs)

    def open(self, name: str) -> Maildir:
        """Return the Maildir; that it has vanished shows when it is used.

        A root that the ledger does not know yet is created with its parents and remembered.
        """
        maildir = self._maildirs[name]
        if name not in self._known:
            if not self._work.knows_maildir(maildir.root):
                maildir.create()
                # Only now: a crash before this line creates what is missing once more.
                self._work.remember_maildir(maildir.root, name)
            self._known.add(name)
        return maildir

    def ready(self, name: str) -> Maildir:
        """Return the Maildir, there in full. Raises MailboxVanishedError if it is not."""
        maildir = self.open(name)
        maildir.check()
        return maildir

    def at(self, root: str) -> Maildir:
        """Return the Maildir in which an earlier attempt prepared a copy, configured or not."""
        return Maildir(Path(root), self._disk)
