"""Opening the ledger for delivery, and recovering a lost one before any mail is delivered.

A ledger that was saved when it was lost in use is put back. If there is none, or it is damaged, the
newest copy is put in its place. Then it is completed from the Maildirs (`completion.py`).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.config import Settings
from postamt_sync.delivery.disk import disk_trouble
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import CourierLock, Ledger
from postamt_sync.ledger.backup import backed_up_at, put_back, set_aside
from postamt_sync.ledger.rescue import save, take_back
from postamt_sync.ledger.store import FILE_NAME, LedgerDamagedError
from postamt_sync.recovery.completion import complete_from_maildirs, is_behind

DAY = 86_400.0
SOURCE = "ledger"
"""The name under which `status` shows what happened to the ledger."""


@contextlib.contextmanager
def open_for_delivery(
    settings: Settings, what: str, events: Events, lost: str = ""
) -> Iterator[Ledger]:
    """Hold the courier's lock, and the ledger, which has been recovered if need be.

    `what` is the verb that holds the lock. `lost` says what happened to the ledger that this
    process had open until now, "" if it had none. Blocking. Raises PostamtError if the lock is held
    or the ledger is unusable, and TryLaterError if the ledger was lost and a Maildir is missing.
    """
    make_state_dir(settings.state_dir)
    with CourierLock(settings.state_dir, what) as lock:
        with _explained(settings.state_dir):
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
        "It was damaged and is being rebuilt"
    )
    found.aside = aside
    return Ledger.open(settings.state_dir, [lock.file]), found


@contextlib.contextmanager
def _explained(state_dir: Path) -> Iterator[None]:
    """Turn what the system refuses into TryLaterError."""
    try:
        yield
    except OSError as error:
        raise disk_trouble(error, state_dir) from error


def _note(ledger: Ledger, found: ReplacedLedger | None, lost: str) -> None:
    """Have `status` show what happened to the ledger, for a day at least."""
    if lost:
        found = found or ReplacedLedger("The daemon has started over")
        found.what = f"The ledger was {lost} while it was in use. {found.what}"
    if found is not None:
        ledger.overview.source_bad(SOURCE, str(found))
        return
    for source in ledger.overview.sources():
        if source.source == SOURCE and source.problem and time.time() - (source.bad_at or 0) > DAY:
            ledger.overview.source_ok(SOURCE, "in its place")


def save_if_lost(ledger: Ledger, events: Events) -> bool:
    """Save the open ledger if it is not at its path any more; tell whether that was so.

    Blocking; durable on return. A file that someone else wrote to is set aside, because SQLite
    would write to it again when closing. Raises TryLaterError if it cannot be saved yet: then it
    must stay open.
    """
    store = ledger.store
    if store.saved or not store.is_lost:
        return False
    reason = "someone else wrote to it"
    with _explained(store.path.parent):
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
    """Open the ledger as a pass would find it, without the lock; a rebuild is done in memory only.

    Blocking. Raises what `open_for_delivery` raises.
    """
    with contextlib.closing(Ledger.open_for_a_look(settings.state_dir)) as ledger:
        if not ledger.rebuild.pending and not is_behind(settings, ledger, events):
            yield ledger
            return
        with contextlib.closing(ledger.in_memory()) as rehearsed:
            complete_from_maildirs(settings, rehearsed, events)
            yield rehearsed


@dataclass(slots=True)
class ReplacedLedger:
    """What was put in the place of a lost ledger, and where the file went that was there."""

    what: str
    copy: Path | None = None
    aside: Path | None = None

    def __str__(self) -> str:
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        aside = f"; what was in its place is now {self.aside}" if self.aside else ""
        return f"{self.what} ({when}){aside}."


def restore_lost_ledger(settings: Settings, events: Events) -> ReplacedLedger | None:
    """Put a saved ledger back or, if there is no ledger, the newest copy in its place.

    None if nothing was to be done, or there is no copy. To be called only while holding the
    courier's lock.
    """
    if (back := take_back(settings.state_dir)) is not None:
        events.ledger_put_back(str(back.saved), str(back.aside or ""), back.merged)
        return ReplacedLedger("It was saved, and is back in its place", aside=back.aside)
    if (settings.state_dir / FILE_NAME).exists():
        return None
    copy = put_back(settings.state_dir, settings.backup_directories)
    if copy is None:
        return None
    at = backed_up_at(copy.parent)
    events.ledger_brought_back(str(copy), max(0.0, time.time() - (at or 0.0)))
    return ReplacedLedger("It was lost, and its copy was put in its place", copy=copy)


def make_state_dir(state_dir: Path) -> None:
    """Create the state directory, for this user only, if need be; raises TryLaterError."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TryLaterError(
            f"The state directory {state_dir} cannot be made ({error.strerror}).",
            "Make it for this user, or choose another state_dir.",
        ) from error
