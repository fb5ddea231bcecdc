"""Envelopes from the index, for mail whose receipt reached us by no other way.

What a listing finds is asked for as it is found, a page at a time, so that a backfill routes by
receipts and asks no mail twice. Whatever else was delivered or waits without a receipt is asked
for once its grace has ended; a receipt that comes to light then adds the mailboxes that it names.

An index that cannot be asked holds up nothing but the guess: only mail that neither receipt nor
Received places waits for it, and after PATIENCE that goes by To and Cc too. The question stays, and
the answer still adds what was missed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from postamt_sync.awaiting import contained
from postamt_sync.backoff import CircuitBreaker
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.envelope_lookups import PATIENCE, EnvelopeLookup
from postamt_sync.ledger.source_notes import NOTED_EVERY, SourceNotes
from postamt_sync.mail.arrival import Arrival, Envelope, Source, is_no_mail
from postamt_sync.unexpected import as_trouble

LOOK_EVERY = 5.0
"""Seconds between looks for new questions, where nobody tells us of them."""
MOST = 1_000
"""Questions that are asked in one go; the most that memory has to hold."""


class EnvelopeSource(Protocol):
    """What we need of the index."""

    async def envelopes(self, keys: Sequence[str]) -> dict[str, Envelope]:
        """Raises PostamtError, always temporary."""


class IndexLookups:
    """Asks the index, and notes in the ledger what it says and how it is doing."""

    def __init__(
        self,
        index: EnvelopeSource,
        ledger: Ledger,
        events: Events,
        *,
        grace: Callable[[], float],
        wake: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`grace` in seconds, as configured now; `wake` is called when mail may be due."""
        self._index = index
        self._ledger = ledger
        self._envelope_lookups = ledger.envelope_lookups
        self._events = events
        self._grace = grace
        self._wake = wake
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self.looks_every: Callable[[], float] = lambda: LOOK_EVERY
        """May return more where `look` is called after each commit of anybody's."""
        self._stirred = asyncio.Event()
        self._breaker = CircuitBreaker(clock)
        self._notes = SourceNotes(
            ledger.overview, events, Source.INDEX, every=NOTED_EVERY, clock=clock
        )

    async def complete(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Return the arrivals of a listing with the envelopes that the index knows.

        Those asked for after their grace are marked as asked. Where the index cannot be asked they
        are returned as they are: finding mail must not depend on it.
        """
        keys = [a.key for a in arrivals if a.envelope is None and not is_no_mail(a.key, a.size)]
        if not keys or self._breaker.is_open:
            return list(arrivals)
        try:
            known = await self._look(keys)
        except PostamtError:  # said and noted already
            return list(arrivals)
        return [self._completed(arrival, known) for arrival in arrivals]

    async def run(self) -> None:
        """Ask what becomes due, until cancelled."""
        restarted = False
        while True:
            self._stirred.clear()
            try:
                if not restarted:
                    await self.restart()
                    restarted = True
                await self.ask()
                moment = await asyncio.to_thread(self._envelope_lookups.next_moment)
            except PostamtError as error:  # the ledger's; the index's own are noted already
                self._events.envelopes_not_asked(str(error))
                await self._sleep(LOOK_EVERY)
            else:
                await self._rest(moment)

    def look(self) -> None:
        """Look now whether a question is due: there may be new ones."""
        self._stirred.set()

    async def _rest(self, moment: float | None) -> None:
        seconds = self.looks_every()
        if moment is not None:
            seconds = min(seconds, max(0.0, moment - self._clock()))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stirred.wait()

    async def restart(self) -> None:
        """Take up the questions of an earlier process; raises PostamtError as the ledger does."""
        await asyncio.to_thread(
            self._envelope_lookups.restart, self._clock(), self._wall(), self._grace()
        )

    async def ask(self) -> None:
        """Ask all that is due; raises PostamtError if the ledger refuses."""
        while due := await asyncio.to_thread(self._envelope_lookups.due, self._clock(), MOST):
            try:
                known = await self._look([lookup.key for lookup in due])
            except PostamtError:
                await self._put_off(due)
                return
            await self._answer(due, known)

    async def _answer(self, due: Sequence[EnvelopeLookup], known: dict[str, Envelope]) -> None:
        told = [
            Arrival(lookup.bucket, lookup.key, Source.INDEX, envelope=known[lookup.key])
            for lookup in due
            if lookup.key in known
        ]
        if told:
            await asyncio.to_thread(self._ledger.arrivals.record, told)
        await asyncio.to_thread(self._envelope_lookups.settle, [lookup.mail for lookup in due])
        self._wake()

    async def _put_off(self, due: Sequence[EnvelopeLookup]) -> None:
        enough = [lookup.mail for lookup in due if self._waited(lookup) > PATIENCE]
        await asyncio.to_thread(
            self._envelope_lookups.put_off,
            [lookup.mail for lookup in due],
            self._breaker.retry_at,
            enough,
        )
        if enough:
            self._wake()

    def _waited(self, lookup: EnvelopeLookup) -> float:
        """Return for how many seconds the question could have been asked, had there been an index.

        Both clocks were someone else's once, S3's and that of an earlier start, so the younger
        decides.
        """
        seen, stored = lookup.first_seen, lookup.last_modified or lookup.first_seen
        return self._wall() - max(seen, stored + self._grace())

    def _completed(self, arrival: Arrival, known: dict[str, Envelope]) -> Arrival:
        if arrival.key in known:
            return replace(arrival, envelope=known[arrival.key])
        stored = arrival.last_modified
        asked = stored is not None and stored + self._grace() <= self._wall()
        return replace(arrival, asked=asked)

    async def _look(self, keys: Sequence[str]) -> dict[str, Envelope]:
        try:
            known = await contained(self._index.envelopes(keys))
        except Exception as error:
            trouble = as_trouble(error)
            self._breaker.failed(trouble)
            pause = max(0.0, self._breaker.retry_at - self._clock())
            self._events.index_failed(str(trouble), pause)
            await self._notes.bad(trouble)
            raise trouble from error
        self._breaker.succeeded()
        self._events.index_asked(len(keys), len(known))
        await self._notes.well("answers")
        return known
