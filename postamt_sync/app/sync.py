"""One pass over the bucket and out: what `postamt-sync sync` does.

List everything, take in what is news, deliver what is due, count what became of what was listed.
Safe to interrupt at any time; the next pass, or the daemon, goes on from the ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, fields

from postamt_sync.app.components import (
    make_courier,
    make_header_memory,
    make_lookups,
    make_scanner,
)
from postamt_sync.awaiting import in_own_thread
from postamt_sync.bucket import Bucket, Listed, SealedPlace, mail_pages
from postamt_sync.config import LiveSettings, Settings
from postamt_sync.delivery.destinations import configured_destinations
from postamt_sync.delivery.outcomes import Progress
from postamt_sync.delivery.pending_mail import StepObserver, no_observer
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.index.client import Index
from postamt_sync.index.lookups import IndexLookups
from postamt_sync.intake.scanner import Scanner
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.incidents import Cause
from postamt_sync.ledger.off_loop import opened_off_loop
from postamt_sync.ledger.sync_runs import SyncTotals
from postamt_sync.mail.arrival import Arrival, Source, is_no_mail
from postamt_sync.recovery.completion import end_rebuild
from postamt_sync.recovery.daily_backup import DailyBackup
from postamt_sync.recovery.decisions import RecoveryDecisions
from postamt_sync.recovery.open_ledger import open_for_delivery, open_for_dry_run

TELL_EVERY = 0.2


@dataclass(slots=True)
class SyncProgress:
    """How far a pass has come, for whoever watches: mails to be done, done, and their bytes.

    `received` is what has come over the line, listings and mail that is not done yet included, and
    `limit` how many bytes of that a second may (0: as many as can).
    """

    listed: int = 0
    todo: int = 0
    done: int = 0
    bytes: int = 0
    received: int = 0
    limit: int = 0
    listing: bool = True


@dataclass(slots=True)
class SyncResult:
    """The end of a pass. `error` is what cut it short."""

    totals: SyncTotals
    bytes: int = 0
    seconds: float = 0.0
    limit: int = 0
    """Bytes that may come in a second, as the configuration had it at the end; 0 is no limit."""
    dry_run: bool = False
    error: PostamtError | None = None


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What a person wants of a pass; `since` in seconds since 1970."""

    dry_run: bool = False
    mark_delivered: bool = False
    since: float | None = None

    @property
    def adopts(self) -> bool:
        """Whether some of what is listed is to count as delivered."""
        return self.mark_delivered or self.since is not None


@dataclass(slots=True)
class SyncRun:
    """A pass over one bucket; `watch` is called several times a second."""

    settings: Settings
    events: Events
    bucket: Bucket
    options: SyncOptions = field(default_factory=SyncOptions)
    watch: Callable[[SyncProgress], None] = lambda _: None
    observer: StepObserver = no_observer
    index: Index | None = None
    """Where envelopes may be known that no receipt has told us."""
    drain: Callable[[Ledger], Awaitable[None]] | None = None
    """Takes in what the queues hold, before anything is listed: they know envelopes."""
    _sync_progress: SyncProgress = field(default_factory=SyncProgress)
    _progress: Progress | None = None

    async def run(self) -> SyncResult:
        """Carry out the pass. What cuts it short is in the result.

        Raises only before anything was begun: lock held, ledger unusable.
        """
        if self.options.dry_run:
            async with opened_off_loop(open_for_dry_run(self.settings, self.events)) as ledger:
                return await self._pass(ledger)
        opening = open_for_delivery(self.settings, "sync", self.events)
        async with opened_off_loop(opening) as ledger:
            result = await self._pass(ledger)
            await in_own_thread(DailyBackup(self.settings, ledger, self.events).make_if_due)
            return result

    async def _pass(self, ledger: Ledger) -> SyncResult:
        started = time.monotonic()
        rehearsed = SyncTotals()
        result = SyncResult(rehearsed, dry_run=self.options.dry_run)
        await asyncio.to_thread(ledger.sync_runs.begin)
        watching = asyncio.create_task(self._tell())
        try:
            async with self.bucket:
                if self.options.dry_run:
                    await self._rehearse(ledger, rehearsed)
                else:
                    live = LiveSettings(self.settings)
                    envelopes = make_lookups(live, ledger, self.index, self.events)
                    # What is to be adopted must not be announced as mail to be delivered.
                    if self.drain is not None and not self.options.adopts:
                        await self.drain(ledger)
                    await self._list(ledger, envelopes)
                    await self._deliver(ledger, envelopes)
                    await asyncio.to_thread(self._tell_absent, ledger)
        except PostamtError as error:
            result.error = error
        finally:
            watching.cancel()
            self.watch(self._sync_progress)
        if not self.options.dry_run:
            listed = self._sync_progress.listed
            result.totals = await asyncio.to_thread(ledger.sync_runs.totals, listed)
        result.bytes = self._sync_progress.bytes
        result.seconds = time.monotonic() - started
        result.limit = self.bucket.bandwidth.limit
        return result

    async def _list(self, ledger: Ledger, envelopes: IndexLookups | None) -> None:
        scanner = self._scanner(ledger, envelopes)
        async for page in self._pages():
            arrivals = [scanner.arrival(entry, Source.SYNC) for entry in page]
            old = [a for a in arrivals if self._is_to_be_adopted(a)]
            if old:
                await asyncio.to_thread(ledger.arrivals.record, old, adopt=True)
            await scanner.take_in(arrivals)
            keys = [arrival.key for arrival in arrivals]
            self._sync_progress.todo += await asyncio.to_thread(
                ledger.sync_runs.add, self.bucket.name, keys
            )
            self._sync_progress.listed += len(page)
        if await asyncio.to_thread(end_rebuild, self.settings, ledger, self.events):
            self._sync_progress.todo = await asyncio.to_thread(ledger.sync_runs.leave_out_settled)
        self._sync_progress.listing = False

    async def _deliver(self, ledger: Ledger, envelopes: IndexLookups | None) -> None:
        headers = make_header_memory(self.settings, ledger)
        courier = make_courier(
            self.settings, ledger, self.bucket, self.events, self.observer, headers.heard
        )
        self._progress = courier.progress
        await asyncio.to_thread(ledger.work.make_all_due)
        if envelopes is not None:
            await envelopes.restart()
            await envelopes.ask()
        writing = asyncio.create_task(headers.run())
        try:
            await courier.run(until_idle=True)
        finally:
            writing.cancel()
            self._note_progress()
        await headers.write()

    def _tell_absent(self, ledger: Ledger) -> None:
        if Cause.ABSENT in self.settings.alerts.wanted and ledger.absences.unseen():
            # With all that alerts look at, it would take a tenth of each start.
            from postamt_sync.alerts.monitor import tell_absent  # noqa: PLC0415

            tell_absent(self.settings, ledger, self.events)

    async def _rehearse(self, ledger: Ledger, totals: SyncTotals) -> None:
        if await asyncio.to_thread(lambda: ledger.rebuild.pending):
            await self._rehearse_rebuild(ledger, totals)
            return
        scanner = self._scanner(ledger)
        async for page in self._pages():
            arrivals = [scanner.arrival(entry, Source.SYNC) for entry in page]
            news = set(await scanner.news(arrivals))
            open_keys = [a.key for i, a in enumerate(arrivals) if i not in news]
            noted = await asyncio.to_thread(ledger.sync_runs.add, self.bucket.name, open_keys)
            self._sync_progress.listed += len(page)
            self._sync_progress.todo += noted + len(news)
            for arrival in (arrivals[i] for i in news):
                if is_no_mail(arrival.key, arrival.size):
                    totals.skipped += 1
                elif self._is_to_be_adopted(arrival):
                    totals.known += 1
                elif arrival.sealed:
                    totals.sealed += 1
                elif arrival.archived:
                    totals.archived += 1
                else:
                    totals.waiting += 1
        noticed = totals.skipped + totals.known + totals.archived + totals.waiting + totals.sealed
        seen_before = self._sync_progress.listed - noticed
        rest = await asyncio.to_thread(ledger.sync_runs.totals, seen_before)
        totals.listed = self._sync_progress.listed
        totals.known += rest.known
        totals.skipped += rest.skipped
        totals.archived += rest.archived
        totals.sealed += rest.sealed
        totals.waiting += rest.waiting + rest.failed

    async def _rehearse_rebuild(self, ledger: Ledger, totals: SyncTotals) -> None:
        """Take everything in: it is a ledger in memory that forgets it."""
        await self._list(ledger, None)
        routes = configured_destinations(self.settings, ledger.work).routes
        decisions = RecoveryDecisions(ledger, routes, prefix=self.settings.bucket.prefix)
        await decisions.decide_by_reading(self.bucket, ledger)
        rest = await asyncio.to_thread(ledger.sync_runs.totals, self._sync_progress.listed)
        rest.waiting, rest.failed = rest.waiting + rest.failed, 0
        for count in fields(SyncTotals):
            setattr(totals, count.name, getattr(rest, count.name))

    async def _pages(self) -> AsyncIterator[list[Listed]]:
        async for page in mail_pages(self.bucket, SealedPlace(*self.settings.sealed_place)):
            yield page
        for prefix in self.settings.mail_prefixes[1:]:
            async for page in self.bucket.pages(prefix):
                yield page

    def _scanner(self, ledger: Ledger, envelopes: IndexLookups | None = None) -> Scanner:
        return make_scanner(self.settings, ledger, self.bucket, self.events, envelopes)

    def _is_to_be_adopted(self, arrival: Arrival) -> bool:
        if self.options.mark_delivered:
            return True
        since, stored_at = self.options.since, arrival.last_modified
        return since is not None and stored_at is not None and stored_at < since

    def _note_progress(self) -> None:
        self._sync_progress.received = self.bucket.bandwidth.received
        self._sync_progress.limit = self.bucket.bandwidth.limit
        if self._progress is not None:
            self._sync_progress.done = self._progress.mails
            self._sync_progress.bytes = self._progress.bytes

    async def _tell(self) -> None:
        while True:
            self._note_progress()
            self.watch(self._sync_progress)
            await asyncio.sleep(TELL_EVERY)
