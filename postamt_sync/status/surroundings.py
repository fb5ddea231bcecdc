"""What mail depends on besides the ledger: disks, copies of the ledger, bucket, next poll."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from postamt_sync.config import Settings
from postamt_sync.ledger.backup import backed_up_at
from postamt_sync.ledger.overview import SourceHealth
from postamt_sync.mail.arrival import Source
from postamt_sync.threads import ask_disk

PATIENCE = 1.5
"""Seconds that a disk has to answer; whoever looks at the page waits for it."""
SCARCE = 0.1
"""The share of free space below which a disk is shown as nearly full."""


@dataclass(frozen=True, slots=True)
class DiskRoom:
    """A file system and what is on it; `free` and `size` in bytes, None if it does not answer."""

    holds: tuple[str, ...]
    path: str
    free: int | None = None
    size: int | None = None

    @property
    def used(self) -> float:
        """The share that is used, 0 to 1."""
        return 1 - self.free / self.size if self.free is not None and self.size else 0.0

    @property
    def is_scarce(self) -> bool:
        return self.free is not None and self.used > 1 - SCARCE


@dataclass(frozen=True, slots=True)
class LedgerCopy:
    """The directory of a copy of the ledger, and when it was made (since 1970), None if not yet."""

    directory: str
    made_at: float | None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`next_poll` in seconds since 1970; None if nobody polls, or no poll has succeeded yet."""

    bucket: str
    region: str
    disks: tuple[DiskRoom, ...]
    copies: tuple[LedgerCopy, ...]
    next_poll: float | None


def read_surroundings(
    settings: Settings,
    sources: Iterable[SourceHealth],
    *,
    running: bool,
    look: Callable[[Path], os.statvfs_result] = os.statvfs,
) -> Surroundings:
    """Look around; `running` tells whether a daemon polls. What does not answer is None."""
    places = {"ledger": settings.state_dir}
    if settings.backup_dir:
        places["copies"] = settings.backup_dir
    places |= {mailbox.name: mailbox.maildir for mailbox in settings.mailboxes}
    directories = settings.backup_directories
    with ThreadPoolExecutor(len(places) + len(directories), "look around") as pool:
        rooms = [pool.submit(_room, path, look) for path in places.values()]
        made = [pool.submit(_made_at, directory) for directory in directories]
        disks = _by_disk(places, [room.result() for room in rooms])
        copies = [
            LedgerCopy(str(directory), at.result())
            for directory, at in zip(directories, made, strict=True)
        ]
    return Surroundings(
        bucket=settings.bucket.name,
        region=settings.aws.region,
        disks=tuple(disks),
        copies=tuple(copies),
        next_poll=_next_poll(settings, sources) if running else None,
    )


_Room = tuple[int, int, int]
"""Device, free bytes, bytes in all."""


def _room(path: Path, look: Callable[[Path], os.statvfs_result]) -> _Room | None:
    return ask_disk(partial(_looked, path, look), None, PATIENCE)


def _looked(path: Path, look: Callable[[Path], os.statvfs_result]) -> _Room | None:
    for there in (path, *path.parents):  # a mailbox that is yet to be created
        try:
            device, disk = there.stat().st_dev, look(there)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return device, disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    return None


def _made_at(directory: Path) -> float | None:
    return ask_disk(partial(backed_up_at, directory), None, PATIENCE)


def _by_disk(places: dict[str, Path], rooms: list[_Room | None]) -> list[DiskRoom]:
    found: dict[object, DiskRoom] = {}
    for (name, path), room in zip(places.items(), rooms, strict=True):
        which = name if room is None else room[0]
        before = found.get(which)
        holds = (*(before.holds if before else ()), name)
        free, size = (room[1], room[2]) if room else (None, None)
        found[which] = DiskRoom(holds, before.path if before else str(path), free, size)
    return list(found.values())


def _next_poll(settings: Settings, sources: Iterable[SourceHealth]) -> float | None:
    last = max(
        (
            at
            for source in sources
            if source.source == Source.POLL
            for at in (source.ok_at, source.bad_at)
            if at is not None
        ),
        default=None,
    )
    return None if last is None else max(time.time(), last + settings.poll.interval)
