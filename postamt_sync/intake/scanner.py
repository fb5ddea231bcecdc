"""Scanning the bucket: comparing listings with the ledger, page by page.

One page is in memory at a time. Objects that the ledger knows only cost a range scan; those that
are news become arrivals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from postamt_sync.bucket import Bucket, Listed, SealedPlace, mail_pages
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Arrival, Source
from postamt_sync.mail.sent_mail import SENT_PREFIX, is_sent, read_sent_key, sent_key


@dataclass(frozen=True, slots=True)
class ScanResult:
    """How many objects a listing had, and how many of them were new."""

    listed: int
    new: int


Complete = Callable[[Sequence[Arrival]], Awaitable[list[Arrival]]]


async def as_found(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Return the arrivals as they are."""
    return list(arrivals)


class Scanner:
    """Finds mail for which no notification came.

    Listings raise what reading the bucket raises. What was found before a failure is in the ledger.
    """

    def __init__(
        self,
        bucket: Bucket,
        ledger: Ledger,
        events: Events,
        prefix: str,
        recent_prefix: str,
        complete: Complete = as_found,
        sealed: SealedPlace | None = None,
    ) -> None:
        """`complete` adds envelopes that are known elsewhere to what was found. `sealed` is where
        sealed objects are."""
        self._bucket = bucket
        self._arrivals = ledger.arrivals
        self._events = events
        self._prefix = prefix
        self._recent_prefix = recent_prefix
        self._complete = complete
        self._sealed = sealed or SealedPlace(prefix, "")

    async def recent(self) -> ScanResult:
        """List the recent prefix; each object stands for the one of that name in the main prefix.

        Without a recent prefix, everything is listed.
        """
        if not self._recent_prefix:
            return await self.everything(Source.POLL)
        listed = new = 0
        async for page in self._bucket.pages(self._recent_prefix):
            keys = [self._prefix + entry.key[len(self._recent_prefix) :] for entry in page]
            news = await asyncio.to_thread(
                self._arrivals.unknown,
                self._bucket.name,
                [(key, entry.etag, False) for key, entry in zip(keys, page, strict=True)],
                twins=True,
            )
            twins = [
                # All that is known of the object itself is that it should be there.
                Arrival(self._bucket.name, keys[i], Source.POLL, etag=page[i].etag)
                for i in news
                if page[i].key != self._recent_prefix
            ]
            if twins:
                twins = await self._complete(twins)
                unknown = await asyncio.to_thread(self._arrivals.record_twins, twins)
                new += self._tell(twins, unknown)
            listed += len(page)
        return ScanResult(listed, new)

    async def everything(self, source: Source) -> ScanResult:
        """List the whole main prefix and, unless this is a poll, what is only left sealed."""
        listed = new = 0
        place = SealedPlace(self._prefix, "") if source is Source.POLL else self._sealed
        async for page in mail_pages(self._bucket, place):
            new += await self._take_in_listed(page, source)
            listed += len(page)
        return ScanResult(listed, new)

    async def sent(self, source: Source, since: str = "") -> ScanResult:
        """List what was sent from the webmail.

        With `since`, a month such as 2026-10, older mail costs hardly any requests: once a page has
        nothing but a mailbox's older mail, the listing goes on at that month.
        """

        def skip(last_key: str) -> str:
            last = read_sent_key(last_key)
            return sent_key(last.mailbox, since, "") if last and last.month < since else ""

        listed = new = 0
        async for page in self._bucket.pages(SENT_PREFIX, skip):
            new += await self._take_in_listed(page, source)
            listed += len(page)
        return ScanResult(listed, new)

    async def _take_in_listed(self, page: Sequence[Listed], source: Source) -> int:
        """Do what `take_in` does, and make arrivals only of what is new: most is known."""
        seen = [(each.key, each.etag, each.archived or bool(each.sealed_key)) for each in page]
        # Its age decides whether a mail may be sealed, and S3's events do not have it.
        news = await asyncio.to_thread(self._arrivals.unknown, self._bucket.name, seen, timed=True)
        return await self._take_in([self.arrival(page[i], source) for i in news])

    async def take_in(self, arrivals: Sequence[Arrival]) -> int:
        """Record what is new in a listed page, in key order; return how many were unknown."""
        return await self._take_in([arrivals[i] for i in await self.news(arrivals)])

    async def _take_in(self, found: list[Arrival]) -> int:
        if not found:
            return 0
        if not is_sent(found[0].key, self._prefix):  # sent mail has no envelope
            found = await self._complete(found)
        return self._tell(found, await asyncio.to_thread(self._arrivals.record, found))

    async def news(self, arrivals: Sequence[Arrival]) -> list[int]:
        """Return the indexes of what is news to the ledger in a listed page, in key order."""
        page = [(a.key, a.etag or "", a.archived or a.sealed) for a in arrivals]
        return await asyncio.to_thread(self._arrivals.unknown, self._bucket.name, page)

    def arrival(self, entry: Listed, source: Source) -> Arrival:
        """Return a listed object as an arrival. It must not be a twin from the recent prefix."""
        return Arrival(
            self._bucket.name,
            entry.key,
            source,
            etag=entry.etag,
            size=entry.size,
            last_modified=entry.modified_at,
            storage_class=entry.storage_class,
            restored=entry.restored,
            sealed=bool(entry.sealed_key),
        )

    def _tell(self, arrivals: list[Arrival], unknown: list[bool]) -> int:
        for arrival, new in zip(arrivals, unknown, strict=True):
            if new:
                self._events.announced(arrival.mail_id, arrival.key, arrival.source)
        return sum(unknown)
