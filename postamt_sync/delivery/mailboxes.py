"""The configured mailboxes as Maildirs: made the first time, and known again ever after.

A root is compared with the ledger when it is first used, and whenever its marker is not the one
that it was:

    the same generation           all is well, whatever its owner has moved or deleted
    behind the ledger             files were lost: what was delivered since and is nowhere is due
    ahead of the ledger           an older ledger: it takes in the names that it does not know
    no marker, but mail of ours   of an earlier version, or someone deleted it: it gets one
    neither, or another's marker  another directory, as where a disk is not mounted: mail waits
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.delivery.disk import Disk, disk_trouble
from postamt_sync.delivery.disk_calls import callers_of
from postamt_sync.delivery.lmtp import Lmtp, Spool
from postamt_sync.delivery.mailbox_threads import PATIENCE, LateError, MailboxThreads
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.maildir_scan import found_copies
from postamt_sync.delivery.marker import MailboxVanishedError, Marker, new_marker, unlike
from postamt_sync.errors import TryLaterError
from postamt_sync.ledger.maildir_roots import MaildirRoot
from postamt_sync.ledger.work import Work

BATCH = 1000


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
        patience: float = PATIENCE,
    ) -> None:
        """`folders` are made where they are missing; all others only ever used.

        A disk that answers nothing for `patience` seconds counts as hanging.
        """
        self.folders = frozenset(folders)
        self._work = work
        self._roots = work.roots
        self._disk = disk
        self._handover = handover
        self._maildirs = {
            name: self._spool(handover, name)
            if handover and name in handover.recipients
            else Maildir(root, disk)
            for name, root in roots
        }
        self._beside = {
            name: Maildir(root, disk)
            for name, root in roots
            if handover and name in handover.recipients
        }
        """The Maildirs of mailboxes whose mail another server gets: we write what they sent."""
        for name, maildir in (*self._maildirs.items(), *self._beside.items()):
            maildir.mailbox = name
            if not isinstance(maildir, Spool):  # that is beside the ledger
                maildir.threads = self._threads(name, maildir.root, patience)
        self._elsewhere: dict[str, Maildir] = {}
        """Roots that earlier configurations named, and in which copies were prepared."""
        self._known: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._maildirs

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._maildirs)

    def find(self, name: str, *, by_us: bool = False) -> Maildir:
        """Return the Maildir as it is, which may not be there; touches no disk.

        With `by_us` the one that we write into, also where another server gets the mail.
        """
        return (self._beside.get(name) if by_us else None) or self._maildirs[name]

    def open(self, name: str, *, by_us: bool = False) -> Maildir:
        """Return the Maildir; that it has vanished shows when it is used, or here.

        A root that the ledger does not know yet is created with its parents and remembered; where
        another server writes the mailbox's files that is for it to do, and it is waited for. One
        that has lost files is made up for; one that is another directory is vanished.
        """
        maildir = self.find(name, by_us=by_us)
        if isinstance(maildir, Spool):
            self._make_once(maildir, name)
            return maildir
        try:
            maildir.call(self._compare_alone, maildir, name)
        except MailboxVanishedError as error:
            if name not in self._beside:
                raise
            # What comes for the mailbox goes another way, and is not to be held back.
            raise TryLaterError(error.problem, error.hint) from error
        return maildir

    def _compare_alone(self, maildir: Maildir, name: str) -> None:
        with self._roots.alone_with(maildir.root):
            doubtful = maildir.marker is None or self._roots.is_distrusted(maildir.root)
            if doubtful or maildir.find_marker() != maildir.marker:
                self._compare(maildir, name)

    def ready(self, name: str) -> Maildir:
        """Return the Maildir, there in full. Raises MailboxVanishedError if it is not."""
        if (threads := self.find(name).threads) is not None:
            callers_of(self.find(name).root).wait_a_moment(threads)
        maildir = self.open(name)
        maildir.call(maildir.check)
        return maildir

    def late(self, name: str, *, by_us: bool = False) -> LateError | None:
        """Say so if the disk of a mailbox, where there is one of this name, is late; asks none."""
        if name not in self._maildirs:
            return None
        threads = self.find(name, by_us=by_us).threads
        return threads.late() if threads else None

    def must_not_be_late(self, root: str) -> None:
        """Raise LateError if the disk of the Maildir with this root is late; asks none."""
        maildir = self.find_at(Path(root))
        if maildir.threads and (late := maildir.threads.late()) is not None:
            raise late

    def at(self, root: str) -> Maildir:
        """Return the Maildir in which an earlier attempt prepared a copy, configured or not."""
        place, handover = Path(root), self._handover
        if handover is not None and place.parent == handover.spools:
            return self._spool(handover, place.name)
        known = self._roots.find(place)
        for name in self._maildirs:
            if known is not None and self.find(name, by_us=True).root == place:
                return self.open(name, by_us=True)
        maildir = self._elsewhere_at(place)
        if known is not None and known.marker:
            maildir.marker = Marker(known.marker, known.generation)
        return maildir

    def find_at(self, root: Path) -> Maildir:
        """Return the Maildir with this root, configured or not, as `find` does."""
        here = (self.find(name, by_us=True) for name in self._maildirs)
        return next((m for m in here if m.root == root), None) or self._elsewhere_at(root)

    def _elsewhere_at(self, root: Path) -> Maildir:
        maildir = self._elsewhere.setdefault(str(root), Maildir(root, self._disk))
        if maildir.threads is None:
            maildir.threads = self._threads(str(root), root)
        return maildir

    def _threads(self, name: str, root: Path, patience: float = PATIENCE) -> MailboxThreads:
        over = self._work.is_closed
        return MailboxThreads(name, patience=patience, root=root, over=over)

    def vanished(self, name: str) -> MailboxVanishedError | None:
        """Say so if a root that was there once is another directory now; makes nothing.

        Raises TryLaterError where its disk refuses.
        """
        maildir = self._maildirs[name]
        known = self._roots.find(maildir.root)
        if known is None or isinstance(maildir, Spool):
            return None
        found = maildir.call(maildir.find_marker)
        return (
            None
            if maildir.call(self._is_it, maildir, known, found)
            else unlike(maildir.root, name, found)
        )

    def accept(self, name: str) -> Maildir:
        """Accept the root as the right one from now on, whatever was there before.

        Mail that waits for it is due at once. Raises TryLaterError if it is not there in full.
        """
        maildir = self.find(name, by_us=True)
        maildir.check()
        with self._roots.alone_with(maildir.root):
            known = self._roots.find(maildir.root)
            marker = maildir.find_marker()
            if marker is None:
                marker = new_marker()
                if known is not None and known.marker:
                    marker = Marker(known.marker, known.generation)
                maildir.put_marker(marker)
            maildir.marker = marker
            foreign = known is not None and known.marker not in {"", marker.id}
            self._roots.accept(maildir.root, name, marker.id, marker.generation, anew=foreign)
        self._work.retry_mailbox_now(name)
        return maildir

    def _make_once(self, maildir: Maildir, name: str) -> None:
        if name not in self._known:
            if self._roots.find(maildir.root) is None:
                maildir.create()
                # Only now: a crash before this line creates what is missing once more.
                self._roots.remember(maildir.root, name)
            self._known.add(name)

    def _compare(self, maildir: Maildir, name: str) -> None:
        """Compare the root's marker with the ledger, and make up for what differs."""
        known = self._roots.find(maildir.root)
        if known is None:
            if name in self._beside:
                _must_be_made(maildir)
            else:
                maildir.create()
            known = MaildirRoot("", 0)
        else:
            maildir.check()
        found = maildir.find_marker()
        if not self._is_it(maildir, known, found):
            maildir.marker = None
            raise unlike(maildir.root, name, found)
        if self._roots.is_distrusted(maildir.root):
            self._take_in(maildir, name)
            self._roots.trust(maildir.root)
        if found is None:
            found = Marker(known.marker, known.generation) if known.marker else new_marker()
            maildir.put_marker(found)
        elif known.marker and found.generation < known.generation:
            self._make_up(maildir, name, found, known)
            found = Marker(found.id, known.generation)
            maildir.put_marker(found)
        elif found.generation > known.generation:
            self._take_in(maildir, name)
        # Only now: a crash before this line compares once more.
        self._roots.remember(maildir.root, name, found.id, found.generation)
        maildir.marker = found

    def _is_it(self, maildir: Maildir, known: MaildirRoot, found: Marker | None) -> bool:
        """Tell whether a root is the one that is known, as far as its marker or its mail tells."""
        if found is not None:
            return known.marker in {"", found.id}
        if not known.marker and not self._roots.was_delivered_to(maildir.root):
            return True  # there was never anything to lose
        return maildir.has_our_mail()

    def _make_up(self, maildir: Maildir, name: str, found: Marker, known: MaildirRoot) -> None:
        """Let what the root has lost be due again: its files are older than the ledger."""
        there = maildir.stems()
        delivered = self._roots.delivered_after(maildir.root, found.generation)
        lost = [copy for copy in delivered if copy.stem not in there]
        self._roots.make_due(lost, maildir.root, name, found.generation, known.generation)

    def _take_in(self, maildir: Maildir, name: str) -> None:
        """Let the ledger know of what the root has and it has not: it is older than the files."""
        try:
            names = found_copies(name, maildir.root)
            while batch := list(itertools.islice(names, BATCH)):
                self._roots.take_in(batch)
        except OSError as error:
            raise disk_trouble(error, maildir.root) from error

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


def _must_be_made(maildir: Maildir) -> None:
    """Wait for a Maildir that Dovecot makes: in one of ours, elsewhere, nobody would see the mail.

    Raises TryLaterError.
    """
    try:
        maildir.check()
    except MailboxVanishedError:
        raise TryLaterError(
            f"The mailbox {maildir.mailbox} gets its mail over LMTP, and {maildir.root} is no "
            "Maildir, so what was sent in the webmail cannot be written there.",
            "Sign in to the mailbox once, so that Dovecot makes it; or set its maildir in the "
            "configuration to where Dovecot keeps the mail. What was sent waits meanwhile.",
        ) from None
