"""Opening the ledger for delivery, and making up for a lost or an old one before any mail moves.

One that was saved when it was lost in use is put back. No ledger, or a damaged one: the newest copy
is brought back, if there is one. Then the names in the Maildirs are
compared with it. Names that it has never heard of prove it lost or old: they are taken in, and
what else is heard of is held until a full listing of the bucket has ended the rebuild.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
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
from postamt_sync.ledger import CourierLock, Ledger
from postamt_sync.ledger.backup import backed_up_at, put_back, set_aside
from postamt_sync.ledger.rebuild import Rebuilt, Unhashed
from postamt_sync.ledger.rescue import save, take_back
from postamt_sync.ledger.store import FILE_NAME, LedgerDamagedError
from postamt_sync.recovery.decisions import RecoveryDecisions

BATCH = 1000
MOST_LOOKS = 5
"""Times that the Maildirs are read while clients keep moving mail about."""
DAY = 86_400.0
Look = Callable[[Path], Iterator[tuple[str, str]]]  # mail id and stem of all in a Maildir
SOURCE = "ledger"
"""Under which name `status` tells what happened to the ledger."""


@contextlib.contextmanager
def open_for_delivery(
    settings: Settings, what: str, events: Events, lost: str = ""
) -> Iterator[Ledger]:
    """Hold the courier's lock and the ledger, whole again as far as the names can tell.

    `what` names the holder for others. `lost` says what has happened to the ledger that this
    process had open until now. Blocking; raises PostamtError if the lock is held or the
    ledger is unusable, and TryLaterError if it is lost while a Maildir is not there.
    """
    make_state_dir(settings.state_dir)
    with CourierLock(settings.state_dir, what) as lock:
        ledger, found = _open(settings, lock, events)
        try:
            ledger.store.sign()
            _note(ledger, found, lost)
            complete_from_maildirs(settings, ledger, events)
            yield ledger
        finally:
            try:
                save_if_lost(ledger, events)
            except TryLaterError as error:
                events.ledger_not_saved(str(error), final=True)
            ledger.close()


def _open(
    settings: Settings, lock: CourierLock, events: Events
) -> tuple[Ledger, ReplacedLedger | None]:
    found = restore_lost_ledger(settings, events)
    try:
        return Ledger.open(settings.state_dir, [lock.file]), found
    except LedgerDamagedError as error:
        aside = set_aside(settings.state_dir)
        events.ledger_set_aside(str(aside), str(error))
    found = restore_lost_ledger(settings, events) or ReplacedLedger(
        "It was damaged, and is rebuilt"
    )
    found.aside = aside
    return Ledger.open(settings.state_dir, [lock.file]), found


def _note(ledger: Ledger, found: ReplacedLedger | None, lost: str) -> None:
    """Let `status` tell what happened to the ledger, for a day at least."""
    if lost:
        found = found or ReplacedLedger("All was begun anew")
        found.what = f"The ledger was {lost} while it was in use. {found.what}"
    if found is not None:
        ledger.overview.source_bad(SOURCE, str(found))
        return
    for source in ledger.overview.sources():
        if source.source == SOURCE and source.problem and time.time() - (source.bad_at or 0) > DAY:
            ledger.overview.source_ok(SOURCE, "in its place")


def save_if_lost(ledger: Ledger, events: Events) -> bool:
    """Save what is open, where the path does not name it any more; tell whether that was so.

    Blocking; durable on return. A file that somebody else wrote to is set aside: SQLite, at the
    end, would write to it once more. Raises TryLaterError where nothing can be saved yet: then it
    must stay open.
    """
    store = ledger.store
    if store.saved or not store.is_lost:
        return False
    reason = "somebody else wrote to it"
    try:
        events.ledger_saved(str(save(store)))
    except LedgerDamagedError as error:
        reason = str(error)
    if store.is_overwritten:
        events.ledger_set_aside(str(set_aside(store.path.parent)), reason)
    store.saved = True
    return True


@contextlib.contextmanager
def open_for_dry_run(settings: Settings, events: Events) -> Iterator[Ledger]:
    """The ledger as a pass would find it, without the lock: a rebuild takes place in memory alone.

    Blocking; raises as `open_for_delivery` does.
    """
    with contextlib.closing(Ledger.open_for_a_look(settings.state_dir)) as ledger:
        if not ledger.rebuild.pending and not _is_behind(settings, ledger, events):
            yield ledger
            return
        with contextlib.closing(ledger.in_memory()) as rehearsed:
            complete_from_maildirs(settings, rehearsed, events)
            yield rehearsed


@dataclass(slots=True)
class ReplacedLedger:
    """What was put in the place of a ledger that was not there, and what was in its place."""

    what: str
    copy: Path | None = None
    aside: Path | None = None

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        aside = f"; what was in its place lies at {self.aside}" if self.aside else ""
        return f"{self.what} ({when}){aside}."


def restore_lost_ledger(settings: Settings, events: Events) -> ReplacedLedger | None:
    """Put a saved ledger back, or bring the newest copy back if there is none; None: all is well.

    Only while holding the courier's lock.
    """
    if (back := take_back(settings.state_dir)) is not None:
        events.ledger_put_back(str(back.saved), str(back.aside or ""), back.merged)
        return ReplacedLedger("It was saved and is back in its place", aside=back.aside)
    if (settings.state_dir / FILE_NAME).exists():
        return None
    copy = put_back(settings.state_dir, backup_directories(settings))
    if copy is None:
        return None
    at = backed_up_at(copy.parent)
    events.ledger_brought_back(str(copy), max(0.0, time.time() - (at or 0.0)))
    return ReplacedLedger("It was lost, and its copy was brought back", copy=copy)


def backup_directories(settings: Settings) -> tuple[Path, ...]:
    """Return where copies of the ledger lie."""
    return (settings.state_dir, *([settings.backup_dir] if settings.backup_dir else []))


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
    if not (always or ledger.rebuild.pending or _is_behind(settings, ledger, events, look)):
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


def _is_behind(settings: Settings, ledger: Ledger, events: Events, look: Look = stems) -> bool:
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


def make_state_dir(state_dir: Path) -> None:
    """Make the state directory, for this user alone, if it is not there; raises TryLaterError."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TryLaterError(
            f"The state directory {state_dir} cannot be made ({error.strerror}).",
            "Make it for this user, or choose another state_dir.",
        ) from error
