"""One pass over the bucket and out: what `postamt-sync sync` does.

List everything, take in what is news, deliver what is due, count what became of what was listed.
Safe to interrupt at any time; the next pass, or the daemon, goes on from the ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields

from postamt_sync.alerts.after_sync import tell_absent
from postamt_sync.bucket import Bucket
from postamt_sync.config import Settings
from postamt_sync.delivery.courier import Courier
from postamt_sync.delivery.destinations import household
from postamt_sync.delivery.outcomes import Progress
from postamt_sync.delivery.publisher import Witness, no_witness
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.index.client import Index
from postamt_sync.index.lookups import Envelopes
from postamt_sync.intake.scanner import Survey, as_found
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.sync_runs import Balance
from postamt_sync.mail.arrival import Arrival, Source, is_no_mail
from postamt_sync.recovery.daily_backup import DailyCopy
from postamt_sync.recovery.decisions import RecoveryDecisions
from postamt_sync.recovery.open_ledger import end_rebuild, ledger_for_delivery, ledger_for_rehearsal

TELL_EVERY = 0.2


@dataclass(slots=True)
class Stage:
    """How far a pass has come, for whoever watches: mails to be done, done, and their bytes."""

    listed: int = 0
    todo: int = 0
    done: int = 0
    bytes: int = 0
    listing: bool = True


@dataclass(slots=True)
class Result:
    """The end of a pass. `error` is what cut it short."""

    balance: Balance
    bytes: int = 0
    seconds: float = 0.0
    dry_run: bool = False
    error: PostamtError | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants of a pass; `since` in seconds since 1970."""

    dry_run: bool = False
    mark_delivered: bool = False
    since: float | None = None

    @property
    def adopts(self) -> bool:
        """Whether some of what is listed shall count as delivered."""
        return self.mark_delivered or self.since is not None


@dataclass(slots=True)
class OnePass:
    """A pass over one bucket; `watch` is called several times a second."""

    settings: Settings
    events: Events
    bucket: Bucket
    wish: Wish = field(default_factory=Wish)
    watch: Callable[[Stage], None] = lambda _: None
    witness: Witness = no_witness
    index: Index | None = None
    """Where envelopes may be known that no receipt has told us."""
    drain: Callable[[Ledger], Awaitable[None]] | None = None
    """Takes in what the queues hold, before anything is listed: they know envelopes."""
    _stage: Stage = field(default_factory=Stage)
    _progress: Progress | None = None

    async def run(self) -> Result:
        """Carry out the pass. What cuts it short is in the result.

        Raises only before anything was begun: lock held, ledger unusable.
        """
        if self.wish.dry_run:
            with ledger_for_rehearsal(self.settings, self.events) as ledger:
                return await self._pass(ledger)
        with ledger_for_delivery(self.settings, "sync", self.events) as ledger:
            result = await self._pass(ledger)
            await asyncio.to_thread(DailyCopy(self.settings, ledger, self.events).make_if_due)
            return result

    async def _pass(self, ledger: Ledger) -> Result:
        started = time.monotonic()
        rehearsed = Balance()
        result = Result(rehearsed, dry_run=self.wish.dry_run)
        ledger.passes.begin()
        watching = asyncio.create_task(self._tell())
        try:
            async with self.bucket:
                if self.wish.dry_run:
                    await self._rehearse(ledger, rehearsed)
                else:
                    envelopes = self._envelopes(ledger)
                    # What is to be adopted must not be announced as mail to be delivered.
                    if self.drain is not None and not self.wish.adopts:
                        await self.drain(ledger)
                    await self._list(ledger, envelopes)
                    await self._deliver(ledger, envelopes)
                    await asyncio.to_thread(tell_absent, self.settings, ledger, self.events)
        except PostamtError as error:
            result.error = error
        finally:
            watching.cancel()
            self.watch(self._stage)
        if not self.wish.dry_run:
            result.balance = ledger.passes.balance(self._stage.listed)
        result.bytes = self._stage.bytes
        result.seconds = time.monotonic() - started
        return result

    async def _list(self, ledger: Ledger, envelopes: Envelopes | None) -> None:
        survey = self._survey(ledger, envelopes)
        async for page in self.bucket.pages(self.settings.bucket.prefix):
            arrivals = [survey.arrival(entry, Source.SYNC) for entry in page]
            old = [a for a in arrivals if self._is_to_be_adopted(a)]
            if old:
                await asyncio.to_thread(ledger.arrivals.record, old, adopt=True)
            await survey.take_in(arrivals)
            keys = [arrival.key for arrival in arrivals]
            self._stage.todo += await asyncio.to_thread(ledger.passes.add, self.bucket.name, keys)
            self._stage.listed += len(page)
        if await asyncio.to_thread(end_rebuild, self.settings, ledger, self.events):
            self._stage.todo = await asyncio.to_thread(ledger.passes.leave_out_settled)
        self._stage.listing = False

    async def _deliver(self, ledger: Ledger, envelopes: Envelopes | None) -> None:
        house = household(self.settings, ledger.work)
        courier = Courier(ledger, self.bucket, house, self.events, witness=self.witness)
        self._progress = courier.progress
        await asyncio.to_thread(ledger.work.make_all_due)
        if envelopes is not None:
            await envelopes.restart()
            await envelopes.ask()
        try:
            await courier.run(until_idle=True)
        finally:
            self._note_progress()

    async def _rehearse(self, ledger: Ledger, balance: Balance) -> None:
        if ledger.rebuild.pending:
            await self._rehearse_rebuild(ledger, balance)
            return
        survey = self._survey(ledger)
        async for page in self.bucket.pages(self.settings.bucket.prefix):
            arrivals = [survey.arrival(entry, Source.SYNC) for entry in page]
            news = set(await survey.news(arrivals))
            open_keys = [a.key for i, a in enumerate(arrivals) if i not in news]
            noted = await asyncio.to_thread(ledger.passes.add, self.bucket.name, open_keys)
            self._stage.listed += len(page)
            self._stage.todo += noted + len(news)
            for arrival in (arrivals[i] for i in news):
                if is_no_mail(arrival.key, arrival.size):
                    balance.skipped += 1
                elif self._is_to_be_adopted(arrival):
                    balance.known += 1
                elif arrival.archived:
                    balance.archived += 1
                else:
                    balance.waiting += 1
        noticed = balance.skipped + balance.known + balance.archived + balance.waiting
        rest = ledger.passes.balance(self._stage.listed - noticed)
        balance.listed = self._stage.listed
        balance.known += rest.known
        balance.skipped += rest.skipped
        balance.archived += rest.archived
        balance.waiting += rest.waiting + rest.failed

    async def _rehearse_rebuild(self, ledger: Ledger, balance: Balance) -> None:
        """Take everything in: it is a ledger in memory that forgets it."""
        await self._list(ledger, None)
        routes = household(self.settings, ledger.work).routes
        await RecoveryDecisions(ledger, routes).decide_by_reading(self.bucket, ledger)
        rest = ledger.passes.balance(self._stage.listed)
        rest.waiting, rest.failed = rest.waiting + rest.failed, 0
        for count in fields(Balance):
            setattr(balance, count.name, getattr(rest, count.name))

    def _survey(self, ledger: Ledger, envelopes: Envelopes | None = None) -> Survey:
        complete = envelopes.complete if envelopes else as_found
        prefix = self.settings.bucket.prefix
        return Survey(self.bucket, ledger, self.events, prefix, "", complete)

    def _envelopes(self, ledger: Ledger) -> Envelopes | None:
        if self.index is None:
            return None
        grace = self.settings.effective_envelope_grace
        return Envelopes(self.index, ledger, self.events, grace=lambda: grace)

    def _is_to_be_adopted(self, arrival: Arrival) -> bool:
        if self.wish.mark_delivered:
            return True
        since, stored_at = self.wish.since, arrival.last_modified
        return since is not None and stored_at is not None and stored_at < since

    def _note_progress(self) -> None:
        if self._progress is not None:
            self._stage.done = self._progress.mails
            self._stage.bytes = self._progress.bytes

    async def _tell(self) -> None:
        while True:
            self._note_progress()
            self.watch(self._stage)
            await asyncio.sleep(TELL_EVERY)
