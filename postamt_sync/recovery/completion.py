"""What the Maildirs know and the ledger does not: a lost or an old one is completed by their names.

Names that it has never heard of prove it lost or old: they are taken in, and what else is heard of
is held until a full listing of the bucket has ended the rebuild.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from postamt_sync.config import Settings
from postamt_sync.delivery.destinations import configured_destinations
from postamt_sync.delivery.disk import disk_trouble, open_mail
from postamt_sync.delivery.filename import parse_name
from postamt_sync.delivery.mailbox_threads import HangingDiskError
from postamt_sync.delivery.mailboxes import Mailboxes
from postamt_sync.delivery.maildir_scan import drafts, found_copies, our_names, stems
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.rebuild import Rebuilt, Unhashed
from postamt_sync.recovery.decisions import RecoveryDecisions

BATCH = 1000
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
    roots = _present(settings, ledger)
    ledger.rebuild.begin([(name, str(root)) for name, root in roots])
    taken = sum(_take_in(name, root, ledger, events) for name, root in roots)
    events.rebuild_begun(taken)
    return taken


def _take_in(mailbox: str, root: Path, ledger: Ledger, events: Events) -> int:
    taken = 0
    try:
        for _ in range(MOST_LOOKS):
            names = itertools.chain(found_copies(mailbox, root), drafts(mailbox, root))
            news = 0
            while batch := list(itertools.islice(names, BATCH)):
                news += ledger.rebuild.take(batch)
            taken += news
            if not news:
                break
    except OSError as error:
        ledger.work.roots.distrust(root)
        events.mailbox_unreadable(mailbox, str(disk_trouble(error, root)))
    return taken


def end_rebuild(settings: Settings, ledger: Ledger, events: Events) -> Rebuilt | None:
    """After a full listing: decide who is still to be given what was held, and let that go.

    None if no rebuild is under way. Blocking.
    """
    if not ledger.rebuild.pending:
        return None
    destinations = configured_destinations(settings, ledger.work)
    RecoveryDecisions(ledger, destinations.routes, has_index=destinations.has_index).decide()
    _compare_contents(ledger)
    ended = ledger.rebuild.end()
    if ended is not None:
        events.rebuild_ended(ended.absent, ended.waiting, ledger.rebuild.unmatched())
    return ended


def is_behind(settings: Settings, ledger: Ledger, events: Events, look: Look = stems) -> bool:
    """Tell whether a Maildir has a name that the ledger has never heard of."""
    mailboxes = configured_destinations(settings, ledger.work).mailboxes
    batch: list[tuple[str, str]]
    for mailbox in settings.mailboxes:
        name, root = mailbox.name, mailbox.maildir
        try:
            known = look(root)
            while batch := mailboxes.find(name).call(list, itertools.islice(known, BATCH)):
                if not ledger.rebuild.knows_all(batch):
                    return True
        except FileNotFoundError:
            continue  # not made yet, or its disk is not mounted: then its mail waits
        except (OSError, HangingDiskError) as error:
            ledger.work.roots.distrust(root)
            trouble = disk_trouble(error, root) if isinstance(error, OSError) else error
            events.mailbox_unreadable(name, str(trouble))
    return False


def _present(settings: Settings, ledger: Ledger) -> list[tuple[str, Path]]:
    """Return the mailboxes whose Maildir is there, leaving out those that were never made.

    Raises TryLaterError for one that is away: what it holds would be delivered again.
    """
    mailboxes = configured_destinations(settings, ledger.work).mailboxes
    present = [
        (m.name, m.maildir)
        for m in settings.mailboxes
        if (m.maildir / "new").is_dir() and not _is_another(mailboxes, m.name)
    ]
    for mailbox in settings.mailboxes:
        root = mailbox.maildir
        if mailbox.delivery == "lmtp":
            continue  # Dovecot names its files: there is nothing of ours to be read
        if (mailbox.name, root) in present or _never_made(root, [there for _, there in present]):
            continue
        raise TryLaterError(
            f"The ledger is lost or old, and the Maildir of {mailbox.name} is away: {root}.",
            "Mount its disk, so that what it holds is not delivered again. If the mailbox is new: "
            f"mkdir -p -m 700 {root}/{{tmp,new,cur}}; then: "
            f"postamt-sync mailbox accept {mailbox.name}",
        )
    return present


def _is_another(mailboxes: Mailboxes, name: str) -> bool:
    try:
        return mailboxes.vanished(name) is not None
    except TryLaterError:  # unreadable, which is this mailbox's own trouble
        return False


def _never_made(root: Path, present: Iterable[Path]) -> bool:
    """Tell a Maildir that never was from one on a disk that is away, whose mount point is there."""
    if root.exists():
        return False
    nearest = next(parent for parent in root.parents if parent.exists())
    return any(
        there.is_relative_to(nearest) and there.stat().st_dev == nearest.stat().st_dev
        for there in present
    )


def _compare_contents(ledger: Ledger) -> None:
    """Hash the copies of objects that have another ETag by now: the content may be the same."""
    wanted = ledger.rebuild.unhashed()
    for root in {copy.maildir for copy in wanted}:
        copies = {copy.stem: copy for copy in wanted if copy.maildir == root}
        for copy, path in _files(Path(root), copies):
            with contextlib.suppress(OSError), open_mail(path) as file:  # else just moved
                ledger.rebuild.note_hash(copy, hashlib.file_digest(file, "sha256").hexdigest())


def _files(root: Path, copies: dict[str, Unhashed]) -> Iterator[tuple[Unhashed, Path]]:
    with contextlib.suppress(OSError):
        for _, entry, ours in our_names(root):
            name = parse_name(ours)
            if name is not None and name.stem in copies:
                yield copies[name.stem], Path(entry.path)
