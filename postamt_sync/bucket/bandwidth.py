"""How many bytes a second come from the bucket: one limit for all that a process reads there."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Awaitable, Callable

LEAST_TURN, MOST_TURN = 1 << 10, 256 << 10
TURNS_A_SECOND = 50
"""A turn is so small that a short mail never waits long behind long ones."""
SAVED_UP = 0.25
"""Seconds of an idle line that may be made up for."""
LOOK_AGAIN = 0.5
"""Seconds after which a changed limit counts at the latest."""


def no_limit() -> int:
    """For those whom nobody limits."""
    return 0


class Bandwidth:
    """A token bucket: over any time no more is let through than the limit allows.

    All transfers that want some take turns, and each gets the same share, so that a short mail is
    through while long ones are under way. What is beyond the limit is not read from its connection,
    and TCP slows the sender down.
    """

    def __init__(
        self,
        limit: Callable[[], int] = no_limit,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`limit` gives the bytes a second in force now, 0 for none; it may change at any time."""
        self.received = 0
        """Bytes of bodies that came, limited or not."""
        self._granted = 0
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._level = 0.0
        """Bytes that may still pass; below 0, what must be waited for."""
        self._looked_at = clock()
        self._waiting: list[tuple[float, int, Transfer, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._now_served = 0.0
        self._serving: asyncio.Task[None] | None = None

    @property
    def limit(self) -> int:
        """Bytes a second, 0 for none."""
        return self._limit()

    @property
    def progress(self) -> int:
        """What grows as long as anything comes, or is let through that has come before."""
        return self.received + self._granted

    def transfer(self) -> Transfer:
        """Return what one answer of the bucket is read through."""
        return Transfer(self)

    async def turn(self, transfer: Transfer) -> None:
        """Return when the transfer has got some credit."""
        turn = asyncio.get_running_loop().create_future()
        # Start-time fair queueing: whoever has had the least for the longest is next.
        starts = max(self._now_served, transfer.share_ends)
        heapq.heappush(self._waiting, (starts, next(self._order), transfer, turn))
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve())
        await turn

    def give_back(self, credit: float) -> None:
        """Take what a transfer did not use; below 0, what it used beyond its credit."""
        self._refill()
        self._level += credit

    async def _serve(self) -> None:
        while self._waiting:
            limit = self._refill()
            if limit and self._level < -1:
                await self._sleep(min(-self._level / limit, LOOK_AGAIN))
                continue
            starts, _, transfer, turn = heapq.heappop(self._waiting)
            if turn.done():  # cancelled
                continue
            size = min(max(limit // TURNS_A_SECOND, LEAST_TURN), MOST_TURN)
            self._level -= size
            self._now_served = starts
            transfer.share_ends = starts + size
            transfer.credit += size
            self._granted += size
            turn.set_result(None)
            await asyncio.sleep(0)  # whoever needs more stands in line again before the next

    def _refill(self) -> int:
        """Count what has passed through time; return the limit in force."""
        limit, now = self._limit(), self._clock()
        self._level += (now - self._looked_at) * limit
        self._looked_at = now
        self._level = min(self._level, limit * SAVED_UP)
        if not limit:
            self._level = 0.0
        return limit


class Transfer:
    """One answer on its way. Call `end` at its end, however it ends."""

    def __init__(self, bandwidth: Bandwidth) -> None:
        self.credit = 0.0
        """Bytes that were waited for and have not come yet; below 0, the other way round."""
        self.share_ends = 0.0
        """Where its share ends, as the line counts."""
        self._bandwidth = bandwidth

    async def begin(self) -> None:
        """Wait until something may be asked for."""
        while self._bandwidth.limit and self.credit <= 0:
            await self._bandwidth.turn(self)

    async def came(self, size: int) -> None:
        """Wait until so many bytes, which have come, may have come."""
        self.came_already(size)
        while self._bandwidth.limit and self.credit < 0:
            await self._bandwidth.turn(self)

    def came_already(self, size: int) -> None:
        """Count so many bytes, to be waited for by the next `begin`, or by others."""
        self._bandwidth.received += size
        if self._bandwidth.limit:
            self.credit -= size

    def end(self) -> None:
        """Give back what was not used."""
        self._bandwidth.give_back(self.credit)
        self.credit = 0.0
