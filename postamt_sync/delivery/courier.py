"""The courier delivers what is due in the ledger, many mails at a time.

Fetching and writing run side by side, each mail on its own; what is written is published in groups.
Memory is bounded by the number of mails on their way, and everything else stays in the ledger. When
the bucket itself cannot be reached, the courier pauses instead of failing mail by mail.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from postamt_sync.awaiting import in_own_thread
from postamt_sync.backoff import CircuitBreaker
from postamt_sync.bucket import Bucket
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.fetcher import Fetcher, Heard, nobody_listens
from postamt_sync.delivery.job import Ended, MailJob, internal_error
from postamt_sync.delivery.late_disks import LateDisks
from postamt_sync.delivery.mailbox_threads import LATE
from postamt_sync.delivery.on_the_way import OnTheWay
from postamt_sync.delivery.outcomes import IsSealed, Outcomes, Progress
from postamt_sync.delivery.pending_mail import (
    DeliveryStep,
    PublishedMail,
    StepObserver,
    no_observer,
)
from postamt_sync.delivery.places import LeftBehindError, Places
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.delivery.publishing_queue import PublishingQueue
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger, Task

AT_ONCE = 32
"""Mails being fetched and written at the same time, but for long ones."""
LONG_AT_ONCE = 16
"""Mails of more than SMALL bytes that are: what they take of a slow line, short ones lack."""
ON_THE_WAY = 256
"""Mails taken from the ledger and not finished yet; the most that memory has to hold."""
LONG_ON_THE_WAY = 64
"""Of these, long ones; what comes beyond stays in the ledger."""
REFILL = 64
"""Mails that must have ended before the ledger is asked for more, which costs the same for many."""
FAILURES = 3
"""Failed fetches in a row after which the bucket counts as broken, not single objects."""
GROUP = 128
SYNCERS = 8
LOOK_EVERY = 2.0
"""Seconds between looks for what another process has made due, where nobody tells us of that; and
for a vanished mailbox."""


class Courier:
    """Delivers what the ledger says is due. One per state directory: hold the CourierLock."""

    def __init__(
        self,
        ledger: Ledger,
        bucket: Bucket,
        destinations: Callable[[], Destinations],
        events: Events,
        *,
        observer: StepObserver = no_observer,
        clock: Callable[[], float] = time.monotonic,
        heard: Heard = nobody_listens,
        looks_every: Callable[[], float] = lambda: LOOK_EVERY,
    ) -> None:
        """`destinations` gives those in force; mails on their way end under the old ones.
        `looks_every` may return more than LOOK_EVERY where each commit is followed by `wake`."""
        self._observer = observer
        self._destinations = destinations
        self._work = ledger.work
        self._events = events
        self._clock = clock
        self._looks_every = looks_every
        self.places = Places(AT_ONCE, LONG_AT_ONCE, ON_THE_WAY)
        self._syncers = ThreadPoolExecutor(SYNCERS, "syncer")
        self._publisher = Publisher(self._work, events, self._observe, self._syncers)
        self._outcomes = Outcomes(self._work, events, clock)
        self._breaker = CircuitBreaker(clock, failures=FAILURES)
        self._bandwidth = bucket.bandwidth
        self._bytes = 0
        self._fetcher = Fetcher(self.places, clock, self._observe, heard)
        self._job = MailJob(
            *(bucket, self._work, self._fetcher, self._publisher, self._outcomes),
            *(self._breaker, events, self.places),
        )
        self._busy = OnTheWay(ON_THE_WAY, LONG_ON_THE_WAY)
        self._fetches: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        queue = partial(
            PublishingQueue,
            publisher=self._publisher,
            events=events,
            told=self._told,
            more_to_come=self._more_to_come,
            most=ON_THE_WAY,
        )
        # Another server may be slow, and nobody else's mail waits behind it.
        self._publishing, self._handing_over = (
            queue("publisher", group=GROUP),
            queue("lmtp", group=1),
        )
        self._queues = self._publishing, self._handing_over
        self._vanished: set[str] = set()
        """Mailboxes whose disk seems not to be mounted."""
        self._late_disks = LateDisks(self._work, destinations)
        self._awake = asyncio.Event()
        self._moved = clock()

    def look_for_sealed(self, is_sealed: IsSealed) -> None:
        """Ask, of mail that is gone from the bucket, whether it lies there sealed."""
        self._outcomes.is_sealed = is_sealed

    @property
    def progress(self) -> Progress:
        return self._outcomes.progress

    @property
    def trouble(self) -> PostamtError | None:
        """Why the bucket cannot be read now, None while it can."""
        return self._breaker.trouble

    @property
    def still_for(self) -> float:
        """For how many seconds none of the mails on their way has got any further; 0: none is.

        A mailbox that hangs holds up no other, so all stand still only where something is wrong in
        this process. Bytes that come are a step too: a large mail takes time over a slow line.
        """
        if self._bytes != (count := self._bandwidth.progress):
            self._bytes, self._moved = count, self._clock()
        return self._clock() - self._moved if self._busy else 0.0

    def wake(self) -> None:
        """Look at the ledger now: something may be due."""
        self._awake.set()

    async def bucket_is_back(self) -> None:
        """The bucket can be read again: what failed meanwhile is due at once."""
        if self._breaker.trouble is not None:
            self._breaker.succeeded()
            await asyncio.to_thread(self._work.retry_now)
        self.wake()

    async def run(self, *, until_idle: bool = False) -> None:
        """Deliver until cancelled, or with `until_idle` until nothing is due any more.

        When cancelled, fetches are given up and what is written is still published: nothing is
        half done. With `until_idle` raises what keeps the bucket from being read.
        """
        publishing = [asyncio.create_task(queue.run()) for queue in self._queues]
        taking = asyncio.create_task(self._take(until_idle=until_idle))
        try:
            await asyncio.wait([taking, *publishing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (taking, *self._fetches):
                task.cancel()
            await asyncio.gather(taking, *self._fetches, return_exceptions=True)
            for queue, task in zip(self._queues, publishing, strict=True):
                if not task.done():
                    await queue.end()
            ended = await asyncio.gather(*publishing, taking, return_exceptions=True)
            # No thread of this run goes on beside the next, but those that wait for a disk.
            if rests := self._rests():
                await asyncio.wait(rests, timeout=LATE)
            self._publisher.close()
            left = [*self._rests(), *([self._looking] if self._looking else [])]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            for pool in (self._syncers, *(queue.thread for queue in self._queues)):
                pool.shutdown()
            for trouble in ended:
                if isinstance(trouble, BaseException):
                    raise trouble

    def _rests(self) -> list[asyncio.Task[None]]:
        return [rest for queue in self._queues for rest in queue.rests]

    async def _take(self, *, until_idle: bool) -> None:
        while True:
            self._awake.clear()
            if until_idle and self.trouble is not None:
                raise self.trouble
            quiet = not self._busy  # else what ends while we look may be due again
            tasks, moment = await self._due()
            for task in tasks:
                self._start(task)
            if until_idle and quiet and not tasks and self.trouble is None:
                if not await self._late_disks_answer():
                    return
            elif not tasks:
                self._look_soon()
                await self._sleep(moment)

    async def _due(self) -> tuple[list[Task], float | None]:
        """Return what is due, or nothing and the moment from which on something will be."""
        busy = self._busy
        if self._breaker.is_open or busy.room < REFILL:  # then who ends wakes us
            return [], self._breaker.retry_at if self._breaker.is_open else None
        try:
            due = partial(self._work.due_or_next, self._clock(), busy.room, set(busy), busy.longest)
            tasks, moment = await asyncio.to_thread(due)
        except PostamtError as error:
            self._breaker.open(error)
            return [], self._breaker.retry_at
        return busy.fitting(tasks), moment

    async def _sleep(self, moment: float | None) -> None:
        """Sleep until someone wakes us, or until this moment, but never for long."""
        seconds = LOOK_EVERY if self._vanished else self._looks_every()
        if moment is not None:
            seconds = min(seconds, max(0.0, moment - self._clock()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._awake.wait()

    async def _late_disks_answer(self) -> bool:
        """Tell whether mail is due again that a disk was too late for."""
        late, self._outcomes.late = self._outcomes.late, set()
        return await self._late_disks.answer(late, self.progress.mails)

    def _look_soon(self) -> None:
        """Look for vanished mailboxes, unless that is being done: a disk may not answer."""
        if self._vanished and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look_after_mailboxes())

    async def _look_after_mailboxes(self) -> None:
        """Make the mail of a vanished mailbox due at once when its disk is back."""
        for name in list(self._vanished):
            try:
                await in_own_thread(partial(self._destinations().mailboxes.ready, name))
                await asyncio.to_thread(self._work.retry_mailbox_now, name)
            except (PostamtError, KeyError):
                continue
            self._vanished.discard(name)
            self._awake.set()

    def _observe(self, step: DeliveryStep, done: bool) -> None:
        self._moved = self._clock()
        self._observer(step, done)

    def _start(self, task: Task) -> None:
        if not self._busy:
            self._moved = self._clock()
        self._busy.add(task)
        fetch = asyncio.create_task(self._carry(task))
        self._fetches.add(fetch)
        fetch.add_done_callback(self._fetches.discard)

    def _done(self, task: Task) -> None:
        self._moved = self._clock()
        self._fetcher.let_go(task)
        self._busy.discard(task)
        if self._busy.room >= REFILL:
            self._awake.set()

    async def _carry(self, task: Task) -> None:
        queued = False
        try:
            async with self.places:
                result = await self._job.take(
                    task, self._destinations(), check_mailboxes=bool(self._vanished)
                )
            if isinstance(result, Ended):
                self._vanished |= result.vanished
            else:
                queue = self._handing_over if result.handed_over else self._publishing
                queue.put(result)
                queued = True
        except LeftBehindError:
            raise
        except Exception as error:  # noqa: BLE001  the ledger refuses; nothing can be noted
            self._breaker.open(internal_error(error, self._events))
        finally:
            if not queued:
                self._done(task)

    def _more_to_come(self, taken: int) -> bool:
        return len(self._busy) - taken >= 2 * AT_ONCE

    async def _told(self, published: Sequence[PublishedMail]) -> None:
        for mail in published:
            try:
                self._vanished |= await self._outcomes.published(mail)
            except Exception as error:  # noqa: BLE001  whoever publishes must not stop
                self._breaker.open(internal_error(error, self._events))
            if not mail.late:
                self._done(mail.mail.task)
