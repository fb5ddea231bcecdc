"""What the Maildirs know and the ledger does not: a lost or an old one is completed by their names.

Names that it has never heard of prove it lost or old: they are taken in, and what else is heard of
is held until a full listing of the bucket has ended the rebuild.
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
"""Times that the Maildirs are read while clients keep moving mail about."""
Look = Callable[[Path], Iterator[tuple[str, str]]]  # mail id and stem of all in a Maildir


def complete_from_maildirs(
    settings: Settings,
    ledger: Ledger,
    events: Events,
    *,
    always: bool = False,
    look: Look = stems,
) -> int:
    """Take in the names that the ledger does not know; return how many there were.

    What they lead to stays held until `end_rebuild`. Nothing happens to a ledger that knows all
    names, unless `always`. A Maildir in which something cannot be read is taken in as a whole
    before its mailbox is given anything. Raises TryLaterError for one that is away.
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
    """Tell of a Maildir that cannot be read, and let it be taken in before its mailbox is given
    anything; one that is not there, or hangs, holds up no other.
    """
    try:
        yield
    except (OSError, HangingDiskError) as error:
        ledger.work.roots.distrust(root)
        trouble = disk_trouble(error, root) if isinstance(error, OSError) else error
        events.mailbox_unreadable(mailbox, str(trouble))


def end_rebuild(settings: Settings, ledger: Ledger, events: Events) -> Rebuilt | None:
    """After a full listing: decide who is still to be given what was held, and let that go.

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
    """Tell whether a Maildir has a name that the ledger has never heard of."""
    mailboxes = configured_destinations(settings, ledger.work).mailboxes
    for mailbox in settings.mailboxes:
        name, root = mailbox.name, mailbox.maildir
        with (
            _its_own_trouble(name, root, ledger, events),
            # Not made yet, or its disk is not mounted: then its mail waits.
            contextlib.suppress(FileNotFoundError),
        ):
            for batch in mailboxes.find_at(root).batches(look(root)):
                if not ledger.rebuild.knows_all(batch):
                    return True
    return False


def _present(settings: Settings, mailboxes: Mailboxes) -> list[tuple[str, Path]]:
    """Return the mailboxes whose Maildir is there, leaving out those that were never made.

    One that hangs is there. Raises TryLaterError for one that is away: what it holds would be
    delivered again.
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
            continue  # Dovecot names its files: there is nothing of ours to be read
        if (mailbox.name, root) in present or _never_made(root, there):
            continue
        raise TryLaterError(
            f"The ledger is lost or old, and the Maildir of {mailbox.name} is away: {root}.",
            "Mount its disk, so that what it holds is not delivered again. If the mailbox is new: "
            f"mkdir -p -m 700 {root}/{{tmp,new,cur}}; then: "
            f"postamt-sync mailbox accept {mailbox.name}",
        )
    return present


def _device(maildir: Maildir) -> int | None:
    """Return the number of the device that a Maildir lies on, 0 for one that hangs; None: it is not
    there.
    """
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
    except TryLaterError:  # unreadable, which is this mailbox's own trouble
        return False


def _never_made(root: Path, present: Sequence[tuple[Path, int | None]]) -> bool:
    """Tell a Maildir that never was from one on a disk that is away, whose mount point is there."""
    if root.exists():
        return False
    nearest = next(parent for parent in root.parents if parent.exists())
    device = nearest.stat().st_dev
    return any(there.is_relative_to(nearest) and its == device for there, its in present)


def _compare_contents(ledger: Ledger, find_at: Callable[[Path], Maildir]) -> None:
    """Hash the copies of objects that have another ETag by now: the content may be the same."""
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
        return None  # just moved
