"""Saving a ledger that was lost while it was open, through its own handle, and putting it back.

It is put back even if another ledger is at the path by now. The saved one has everything up to the
loss; the other one is an older copy, or was started after the loss. Going on with that one would
forget whom a mail is for, if only its receipt said so. What the other one knows is merged first,
and its file is set aside, never deleted. To really go back to an older ledger, stop the daemon, put
it in place, and start the daemon.

The saved file itself says that this has to be done, so an interruption at any point loses nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from postamt_sync import atomic_file
from postamt_sync.errors import TryLaterError
from postamt_sync.ledger.backup import INTEGRITY, set_aside, stamped, write_ledger
from postamt_sync.ledger.merge import merge
from postamt_sync.ledger.store import FILE_NAME, LedgerDamagedError, Store

SAVED = ".rescued"
MERGED = ".merged"


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Which saved ledger was put back, and where the one that was in its place is now, if any.

    `merged` is how many objects were new or due because of that one; None: it was not a ledger.
    """

    saved: Path
    aside: Path | None
    merged: int | None


def save(store: Store) -> Path:
    """Save an open ledger that is not at its path any more; return where it is now, durably.

    The directory is created if it is gone. Raises TryLaterError if the disk refuses, and
    LedgerDamagedError if what is open is damaged.
    """
    state_dir = store.path.parent
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        saved = stamped(state_dir, SAVED)
    except OSError as error:
        raise TryLaterError(
            f"The state directory {state_dir} cannot be used ({error.strerror}).",
            "Make it for this user, or mount its disk; the open ledger is kept until then.",
        ) from error
    write_ledger(saved, store.back_up, str(store.path), INTEGRITY)
    store.forget_own_log()
    return saved


def saved_ledgers(state_dir: Path) -> Sequence[Path]:
    """Return the saved ledgers that were not put back yet, the newest last."""
    found = state_dir.glob(f"{FILE_NAME}.*{SAVED}")
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def take_back(state_dir: Path) -> TakenBack | None:
    """Put the newest saved ledger back; None if there is none that is undamaged.

    To be called only while holding the courier's lock. Durable on return. Raises TryLaterError.
    """
    found = saved_ledgers(state_dir)
    while found:
        *found, saved = found
        with contextlib.suppress(LedgerDamagedError):
            return _take_back(state_dir, saved, found)
    return None


def _take_back(state_dir: Path, saved: Path, earlier: Sequence[Path]) -> TakenBack:
    path = state_dir / FILE_NAME
    merged: int | None = None
    with contextlib.closing(Store(saved)) as store:
        for other in (*earlier, path):
            with contextlib.suppress(LedgerDamagedError):
                if other.exists():
                    merged = merge(store, other)
    aside = set_aside(state_dir)
    saved.rename(path)
    for other in earlier:
        other.rename(other.with_name(f"{other.name}{MERGED}"))
    atomic_file.sync(state_dir)
    return TakenBack(saved, aside, merged)
