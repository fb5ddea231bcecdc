"""Completing a lost or an old ledger from the file names in the Maildirs.

A name that the ledger does not know proves that it was lost or is an old copy. Then all names are
taken in, and what we hear of is held until a full listing of the bucket has ended the rebuild.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from postamt_sync.config import Settings
from postamt_sync.delivery.destinations import configured_destinations
from postamt_sync.delivery.disk import disk_trouble, open_mail
from postamt_sync.delivery.mailbox_threads import HangingDiskError
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir import Maildir
from postamt_sync.delivery.maildir_scan import drafts, found_copies, paths_of, stems
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.rebuild import Rebuilt
from postamt_sync.recovery.decisions import RecoveryDecisions

MOST_LOOKS = 5
"""How often a Maildir is read at most while clients keep moving mail."""
Look = Callable[[Path], Iterator[tuple[str, str]]]
"""Yields mail id and stem of every file of ours in a Maildir."""


def complete_from_maildirs(
    settings: Settings,
    ledger: Ledger,
    events: Events,
    *,
    always: bool = False,
    look: Look = stems,
) -> int:
    """Take in the file names that the ledger does not know; return how many there were.

    Nothing is done if it knows them all, unless `always`. What the names lead to is held until
    `end_rebuild`. A Maildir that cannot be read completely is read again, as a whole, before its
    mailbox gets any mail. Raises TryLaterError if a Maildir is missing. Blocking.
    """
    if not (always or ledger.rebuild.pending or is_behind(settings, ledger, events, look)):
        ledger.rebuild.note_whole()
        return 0
    mailboxes = configured_destinations(settings, ledger.work).mailboxes
    roots = _present(settings, mailboxes)
    ledger.rebuild.begin([(name, str(root)) for name, root in roots])
    taken = sum(_take_in(name, mailboxes.find_at(root), ledger, events) for name, root in roots)
    events.rebuild_begun(taken)
    return taken


def _take_in(mailbox: str, maildir: Maildir, ledger: Ledger, events: Events) -> int:
    root, taken = maildir.root, 0
    with _its_own_trouble(mailbox, root, ledger, events):
        for _ in range(MOST_LOOKS):
            names = itertools.chain(found_copies(mailbox, root), drafts(mailbox, root))
            news = sum(map(ledger.rebuild.take, maildir.batches(names)))
            taken += news
            if not news:
                break
    return taken


@contextlib.contextmanager
def _its_own_trouble(mailbox: str, root: Path, ledger: Ledger, events: Events) -> Iterator[None]:
    """Log that a Maildir cannot be read, and have it read before its mailbox gets any mail.

    One that is missing, or hangs, does not hold up the others.
    """
    try:
        yield
    except (OSError, HangingDiskError) as error:
        ledger.work.roots.distrust(root)
        trouble = disk_trouble(error, root) if isinstance(error, OSError) else error
        events.mailbox_unreadable(mailbox, str(trouble))


def end_rebuild(settings: Settings, ledger: Ledger, events: Events) -> Rebuilt | None:
    """Decide, after a full listing, who is still to get what was held, and release it.

    None if no rebuild is under way. Blocking.
    """
    if not ledger.rebuild.pending:
        return None
    destinations = configured_destinations(settings, ledger.work)
    find_at = destinations.mailboxes.find_at
    RecoveryDecisions(
        ledger,
        destinations.routes,
        prefix=destinations.prefix,
        has_index=destinations.has_index,
        find_at=find_at,
    ).decide()
    _compare_contents(ledger, find_at)
    ended = ledger.rebuild.end()
    if ended is not None:
        events.rebuild_ended(ended.absent, ended.waiting, ledger.rebuild.unmatched())
    return ended


def is_behind(settings: Settings, ledger: Ledger, events: Events, look: Look = stems) -> bool:
    """Tell whether a Maildir has a file name that the ledger does not know. Blocking."""
    mailboxes = configured_destinations(settings, ledger.work).mailboxes
    for mailbox in settings.mailboxes:
        name, root = mailbox.name, mailbox.maildir
        with (
            _its_own_trouble(name, root, ledger, events),
            # Not created yet, or its disk is not mounted: then its mail waits.
            contextlib.suppress(FileNotFoundError),
        ):
            for batch in mailboxes.find_at(root).batches(look(root)):
                if not ledger.rebuild.knows_all(batch):
                    return True
    return False


def _present(settings: Settings, mailboxes: Mailboxes) -> list[tuple[str, Path]]:
    """Return the mailboxes whose Maildir exists, and leave out those that were never created.

    One that hangs exists. Raises TryLaterError if one is missing, whose mail would come again.
    """
    devices = {m.name: _device(mailboxes.find_at(m.maildir)) for m in settings.mailboxes}
    present = [
        (m.name, m.maildir)
        for m in settings.mailboxes
        if devices[m.name] is not None and not _is_another(mailboxes, m.name)
    ]
    there = [(root, devices[name]) for name, root in present]
    for mailbox in settings.mailboxes:
        root = mailbox.maildir
        if mailbox.delivery == "lmtp":
            continue  # Dovecot names the files: none of the names are ours
        if (mailbox.name, root) in present or _never_made(root, there):
            continue
        raise TryLaterError(
            f"The ledger is lost or old, and the Maildir of {mailbox.name} is missing: {root}.",
            "Mount its disk, so that its mail is not delivered again. If the mailbox is new: "
            f"mkdir -p -m 700 {root}/{{tmp,new,cur}}; then: "
            f"postamt-sync mailbox accept {mailbox.name}",
        )
    return present


def _device(maildir: Maildir) -> int | None:
    """Return the number of a Maildir's device, 0 if it hangs, None if it is missing."""
    try:
        if maildir.call((maildir.root / "new").is_dir):
            return maildir.call(os.stat, maildir.root).st_dev
    except HangingDiskError:
        return 0
    except OSError:
        return None
    return None


def _is_another(mailboxes: Mailboxes, name: str) -> bool:
    try:
        return mailboxes.vanished(name) is not None
    except TryLaterError:  # unreadable, which concerns this mailbox only
        return False


def _never_made(root: Path, present: Sequence[tuple[Path, int | None]]) -> bool:
    """Tell a Maildir that was never created from one whose disk is not mounted."""
    if root.exists():
        return False
    nearest = next(parent for parent in root.parents if parent.exists())
    device = nearest.stat().st_dev
    return any(there.is_relative_to(nearest) and its == device for there, its in present)


def _compare_contents(ledger: Ledger, find_at: Callable[[Path], Maildir]) -> None:
    """Hash the copies of objects that have another ETag now: the content may still be the same."""
    wanted = ledger.rebuild.unhashed()
    for root in {copy.maildir for copy in wanted}:
        maildir = find_at(Path(root))
        copies = {copy.stem: copy for copy in wanted if copy.maildir == root}
        with contextlib.suppress(OSError, HangingDiskError):
            for stem, path in itertools.chain.from_iterable(
                maildir.batches(paths_of(maildir.root, copies))
            ):
                if (digest := maildir.call(_sha256, path)) is not None:
                    ledger.rebuild.note_hash(copies[stem], digest)


def _sha256(path: Path) -> str | None:
    try:
        with open_mail(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # moved a moment ago
