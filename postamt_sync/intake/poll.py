"""The poll: mail is found even if no notification of it arrives.

It runs at start, at every interval, when it is asked for, and when the machine wakes up. While
polls fail, it is tried again after ten seconds and then less and less often, so that it is noticed
when the network is back. The whole bucket is listed at start and then once a day.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from postamt_sync.awaiting import contained
from postamt_sync.backoff import growing_pause
from postamt_sync.config import LiveSettings
from postamt_sync.events import Events
from postamt_sync.intake.scanner import Scanner, ScanResult
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.source_notes import SourceNotes
from postamt_sync.mail.arrival import Source
from postamt_sync.mail.sent_mail import month_before
from postamt_sync.throttle import Allowance
from postamt_sync.unexpected import as_trouble

GLANCE_EVERY = 15.0
"""Seconds between looks at the clocks, by which it is noticed that the machine has slept."""
SLEPT = 5.0
"""Seconds by which the boot clock must be ahead of the monotonic one for that."""


ASKED_PER_MINUTE = 12.0
"""How many polls per minute can be asked for: genuine messages can be sent again by anybody."""


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class PollClocks:
    """Clocks that nobody can set, in seconds. While the machine sleeps, `monotonic` stands still.

    `set_within` waits for an event, and tells whether it was set within so many seconds.
    """

    monotonic: Callable[[], float] = time.monotonic
    boot: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    set_within: Callable[[asyncio.Event, float], Awaitable[bool]] = _set_within

    def slept(self) -> float:
        """Return how many seconds the machine has slept since it was booted."""
        return self.boot() - self.monotonic()


async def _nothing() -> None:
    """The default for hooks that are awaited."""


@dataclass(frozen=True, slots=True)
class PollHooks:
    """What else happens around a poll. Hooks raise nothing but what the ledger raises.

    `before_look` is awaited first at each poll: queues may know a mail's envelope, which is better
    known before the mail is found. `on_listed` is called after every full listing, in a thread.
    Then, and after every other listing that succeeded, `on_look` is awaited: the bucket is there.
    `after_success` is called after each poll that succeeded, and `on_reconciled` after every full
    listing with the time at which that began, in seconds since 1970.
    """

    on_look: Callable[[], Awaitable[None]] = _nothing
    on_listed: Callable[[], object] = lambda: None
    before_look: Callable[[], Awaitable[None]] = _nothing
    after_success: Callable[[], None] = lambda: None
    on_reconciled: Callable[[float], None] = lambda _: None


class Poll:
    """Lists the bucket, at the intervals that are configured."""

    def __init__(
        self,
        live: LiveSettings,
        scanner: Scanner,
        ledger: Ledger,
        events: Events,
        *,
        hooks: PollHooks,
        clocks: PollClocks | None = None,
        asked: asyncio.Event | None = None,
    ) -> None:
        """Whoever wants a poll at once sets `asked`, as `soon` does."""
        self._live = live
        self._scanner = scanner
        self._ledger = ledger
        self._events = events
        self._notes = {
            source: SourceNotes(ledger.overview, events, source)
            for source in (Source.POLL, Source.SENT, Source.RECONCILE)
        }
        self._hooks = hooks
        self._clocks = clocks or PollClocks()
        self._asked = asked or asyncio.Event()
        self._asking = Allowance(ASKED_PER_MINUTE, self._clocks.monotonic)
        self._sent_is_noted = True  # perhaps by an earlier process

    def soon(self) -> None:
        """Ask for a poll: at once, after the current one, or later if it is asked for too often."""
        self._asked.set()

    async def run(self) -> None:
        """Poll until cancelled."""
        failures = 0
        reconciled_at: float | None = None
        while True:
            self._asked.clear()
            pause_if_bad = self._pause(failures + 1)
            await self._hooks.before_look()
            good = await self._look(Source.POLL, self._scanner.recent, pause_if_bad)
            now = self._clocks.monotonic()
            every = self._live.current.poll.reconcile_interval
            whole = good and (reconciled_at is None or now - reconciled_at >= every)
            await self._look_at_sent(pause_if_bad, whole=whole)
            if whole:
                good = await self._look(Source.RECONCILE, self._reconcile, pause_if_bad)
                if good:
                    reconciled_at = now
            failures = 0 if good else failures + 1
            if good:
                self._hooks.after_success()
            await self._wait(pause_if_bad if failures else self._pause(0))

    async def _look(
        self, source: Source, look: Callable[[], Awaitable[ScanResult]], pause_if_bad: float
    ) -> bool:
        started = self._clocks.monotonic()
        try:
            looked = await contained(look())
            seconds = self._clocks.monotonic() - started
            detail = f"{looked.listed} listed, {looked.new} new"
            await self._notes[source].well(detail)
            self._events.polled(source, looked.listed, looked.new, seconds)
            await self._hooks.on_look()
        except Exception as error:  # noqa: BLE001  whatever answered, it is looked again
            trouble = as_trouble(error)
            self._events.poll_failed(source, str(trouble), pause_if_bad)
            await self._notes[source].bad(trouble)
            return False
        return True

    async def _look_at_sent(self, pause_if_bad: float, *, whole: bool) -> None:
        """List what was sent from the webmail: all of it (`whole`), or the last two months.

        A failure is tried again at the next poll, and does not hold up incoming mail.
        """
        if not self._live.current.webmail.enabled:
            if self._sent_is_noted:
                self._sent_is_noted = not await self._notes[Source.SENT].forget()
            return
        self._sent_is_noted = True
        since = month_before(f"{dt.datetime.now(dt.UTC):%Y-%m}")

        async def look() -> ScanResult:
            if whole:
                return await self._scanner.sent(Source.RECONCILE)
            return await self._scanner.sent(Source.SENT, since)

        await self._look(Source.SENT, look, pause_if_bad)

    async def _reconcile(self) -> ScanResult:
        began_at, began = time.time(), self._clocks.monotonic()
        looked = await self._scanner.everything(Source.RECONCILE)
        # The clock may have been set meanwhile: the earlier time counts.
        took = self._clocks.monotonic() - began
        began_at = min(began_at, time.time() - took)
        await asyncio.to_thread(self._hooks.on_listed)
        self._hooks.on_reconciled(began_at)
        await asyncio.to_thread(self._ledger.work.retry_archived)
        return looked

    def _pause(self, failures: int) -> float:
        interval = self._live.current.poll.interval
        if failures:
            return growing_pause(failures - 1, longest=interval)
        return interval * random.uniform(0.9, 1.1)  # noqa: S311  households must not poll in step

    async def _wait(self, seconds: float) -> None:
        until = self._clocks.monotonic() + seconds
        slept = self._clocks.slept()
        asked = False
        while (left := until - self._clocks.monotonic()) > 0:
            if await self._clocks.set_within(self._asked, min(left, GLANCE_EVERY)):
                self._asked.clear()
                asked = True
            if asked and self._asking.spend():
                return
            more = self._clocks.slept() - slept
            if more > SLEPT:
                self._events.resumed(more)
                return
