"""Rebuilding the ledger on request. `run` and `sync` do so by themselves if it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from postamt_sync.bucket import Bucket
from postamt_sync.config import Settings
from postamt_sync.delivery.destinations import configured_destinations
from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import Events
from postamt_sync.ledger import CourierLock, Ledger, ObjectState
from postamt_sync.ledger.backup import set_aside
from postamt_sync.ledger.off_loop import opened_off_loop
from postamt_sync.ledger.schema import NewerLedgerError
from postamt_sync.ledger.store import FILE_NAME
from postamt_sync.recovery.completion import complete_from_maildirs, end_rebuild
from postamt_sync.recovery.decisions import RecoveryDecisions
from postamt_sync.recovery.open_ledger import (
    make_state_dir,
    restore_lost_ledger,
)


@dataclass(slots=True)
class RebuildResult:
    """What was found, and how many objects are in which state now.

    `set_aside` and `copy` are paths: of the ledger that was set aside and the copy that was put in
    its place, "" if there was none. `unmatched` counts files without an object.
    """

    set_aside: str = ""
    copy: str = ""
    names: int = 0
    listed: int = 0
    delivered: int = 0
    absent: int = 0
    waiting: int = 0
    unmatched: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as a flat object."""
        return asdict(self)


class LedgerRebuild:
    """One rebuild. With `anew` neither the ledger nor a copy of it is used."""

    def __init__(
        self,
        settings: Settings,
        bucket: Bucket,
        take_in_listing: Callable[[Ledger], Awaitable[int]],
        events: Events,
        *,
        anew: bool = False,
    ) -> None:
        """`take_in_listing` lists the whole bucket into a ledger; returns how many objects."""
        self._settings = settings
        self._take_in_listing = take_in_listing
        self._bucket = bucket
        self._events = events
        self._anew = anew

    async def run(self) -> RebuildResult:
        """Rebuild the ledger, and return how it went. Safe to interrupt and to repeat.

        Raises TryLaterError while another process delivers, and what reading the bucket and the
        Maildirs raises. Then the next run, sync or rebuild continues.
        """
        state_dir = self._settings.state_dir
        make_state_dir(state_dir)
        result = RebuildResult()
        with CourierLock(state_dir, "rebuild") as lock:
            async with opened_off_loop(self._opened(lock, result)) as ledger:
                result.names = await asyncio.to_thread(
                    complete_from_maildirs, self._settings, ledger, self._events, always=True
                )
                async with self._bucket:
                    result.listed = await self._take_in_listing(ledger)
                    await asyncio.to_thread(end_rebuild, self._settings, ledger, self._events)
                    routes = configured_destinations(self._settings, ledger.work).routes
                    decisions = RecoveryDecisions(
                        ledger, routes, prefix=self._settings.bucket.prefix
                    )
                    await decisions.decide_by_reading(self._bucket, ledger)
                states = await asyncio.to_thread(ledger.overview.states)
                result.unmatched = await asyncio.to_thread(ledger.rebuild.unmatched)
        result.delivered = states[ObjectState.DELIVERED]
        result.absent = states[ObjectState.ABSENT]
        result.waiting = states[ObjectState.WAITING]
        return result

    @contextmanager
    def _opened(self, lock: CourierLock, result: RebuildResult) -> Iterator[Ledger]:
        """Open what is to be completed: the ledger, its copy, or a new one."""
        state_dir = self._settings.state_dir
        if (state_dir / FILE_NAME).exists() and (self._anew or self._is_damaged()):
            result.set_aside = str(set_aside(state_dir) or "")
        if not self._anew:
            found = restore_lost_ledger(self._settings, self._events)
            result.copy = str(found.copy or "") if found else ""
        with closing(Ledger.open(state_dir, [lock.file])) as ledger:
            yield ledger

    def _is_damaged(self) -> bool:
        try:
            with closing(Ledger.open(self._settings.state_dir)) as ledger:
                return not ledger.is_sound()
        except NewerLedgerError:  # it is undamaged, and would be lost
            raise
        except MisconfiguredError:
            return True
