"""The configured mailboxes as Maildirs: made the first time, and only then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.lmtp import Lmtp, Spool
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.ledger.work import Work


@dataclass(frozen=True, slots=True)
class Handover:
    """Who takes mail over LMTP, which mailboxes (each with its address there), and the spools."""

    lmtp: Lmtp
    spools: Path
    recipients: Mapping[str, str]


class Mailboxes:
    """Finds a mailbox's Maildir by name. Blocking; safe in any thread."""

    def __init__(
        self,
        roots: Iterable[tuple[str, Path]],
        work: Work,
        disk: Disk,
        folders: Iterable[str] = (),
        handover: Handover | None = None,
    ) -> None:
        """`folders` are made where they are missing; all others only ever used."""
        self.folders = frozenset(folders)
        self._work = work
        self._disk = disk
        self._handover = handover
        self._maildirs = {
            name: self._spool(handover, name)
            if handover and name in handover.recipients
            else Maildir(root, disk)
            for name, root in roots
        }
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
        place, handover = Path(root), self._handover
        if handover is not None and place.parent == handover.spools:
            return self._spool(handover, place.name)
        return Maildir(place, self._disk)

    def hands_over(self, names: Iterable[str]) -> bool:
        """Tell whether one of these mailboxes gets its copies from another server."""
        return any(isinstance(self._maildirs.get(name), Spool) for name in names)

    def quick_first(self, names: Sequence[str]) -> Sequence[str]:
        """Return the names with those last whose copies another server gets, and may be slow."""
        if self._handover is None or not self._handover.recipients:
            return names
        return sorted(names, key=lambda name: self.hands_over([name]))

    def _spool(self, handover: Handover, name: str) -> Spool:
        recipient = handover.recipients.get(name, name)
        return Spool(handover.spools / name, self._disk, handover.lmtp, recipient)
