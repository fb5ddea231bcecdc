"""A ledger that was lost while it was open: saved through its own handle, and taken back.

The saved one is put back even where the path names another ledger by now: it has all that was
answered and delivered until the loss, while the other one is an older copy, or was begun after it.
To go on with that one would forget who a mail is for, which only its receipt has told. What the
other one knows beside it is added first, and the file is set aside, never deleted: who wants an
older ledger in earnest stops the daemon, puts it in place and starts the daemon.

The saved file is what says that this is to be done, so a stop anywhere in between loses nothing.
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
    """Which saved ledger is in place again, and where the one that was there lies now, if any.

    `merged` counts what that one knew beside it; None: it was no ledger.
    """

    saved: Path
    aside: Path | None
    merged: int | None


def save(store: Store) -> Path:
    """Save an open ledger that its path does not name any more; return where, durably.

    The directory is made if it is gone. Raises TryLaterError where its disk refuses, and
    LedgerDamagedError where what is open is no longer whole.
    """
    state_dir = store.path.parent
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        saved = stamped(state_dir, SAVED)
    except OSError as error:
        raise TryLaterError(
            f"The state directory {state_dir} cannot be used ({error.strerror}).",
            "Make it for this user, or mount its disk; what is open is kept until then.",
        ) from error
    write_ledger(saved, store.back_up, str(store.path), INTEGRITY)
    store.forget_own_log()
    return saved


def saved_ledgers(state_dir: Path) -> Sequence[Path]:
    """Return saved ledgers that were not taken back yet, the newest last."""
    found = state_dir.glob(f"{FILE_NAME}.*{SAVED}")
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def take_back(state_dir: Path) -> TakenBack | None:
    """Put the newest saved ledger in place, if there is one; None: there is none that is whole.

    Only while holding the courier's lock; durable on return. Raises TryLaterError.
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
