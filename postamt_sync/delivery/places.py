"""How many mails are being fetched at once, and what of that may wait for a disk."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import TypeVar

from postamt_sync.delivery.mailbox_threads import LATE, MailboxThreads

FEW = 4
"""Places that are given at each look while others go first: mail comes, however long that is."""
LOOK_EVERY = 0.1
"""Seconds between two such looks."""

_T = TypeVar("_T")


class LeftBehindError(Exception):
    """A call whose disk is late goes on by itself: whoever waited for it has ended."""


class Turns:
    """A semaphore of `most` places; while `others_first`, a few are given every now and then."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.others_first: Callable[[], bool] = lambda: False
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._look: asyncio.TimerHandle | None = None

    async def acquire(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._give()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given a place just before
                self.release()
            raise

    def release(self) -> None:
        self._taken -= 1
        self._give()

    def _give(self, few: int = 0) -> None:
        """Give what may be given, and a few in any case."""
        while self._waiting and self._taken < self._most and (few or not self.others_first()):
            turn = self._waiting.popleft()
            if not turn.done():
                few = max(0, few - 1)
                self._taken += 1
                turn.set_result(None)
        if self._waiting and self._taken < self._most and self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_EVERY, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._give(FEW)


_held: ContextVar[asyncio.Semaphore | Turns | None] = ContextVar("held", default=None)
"""Of which kind the place is that this task has."""


class Places:
    """So many at once, each in its `async with`. Who waits for a disk lets another go on.

    Long mails have places of their own: a slow line may take hours for them, and no short one waits
    that long. `threads` of all may wait for disks; none is waited for at the end of the process.
    """

    def __init__(self, places: int, long: int, threads: int) -> None:
        self._free = Turns(places)
        self._long = asyncio.Semaphore(long)
        self._threads = MailboxThreads("writer", patience=math.inf, most=threads)

    def give_way_while(self, others_first: Callable[[], bool]) -> None:
        """Give a few places every now and then only, while somebody waits who cannot for long."""
        self._free.others_first = others_first

    async def __aenter__(self) -> None:
        await self._take(self._free)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave()

    async def take_long(self) -> bool:
        """Change to a long mail's place if one is free; tell whether the mail has one now."""
        if _held.get() is not self._long and self._long.locked():
            return False
        await self.wait_for_long()
        return True

    async def wait_for_long(self) -> None:
        """Change to a long mail's place; others go on meanwhile in the one that it leaves."""
        if _held.get() is not self._long:
            self._leave()
            await self._take(self._long)

    async def _take(self, kind: asyncio.Semaphore | Turns) -> None:
        await kind.acquire()
        _held.set(kind)

    def _leave(self) -> asyncio.Semaphore | Turns | None:
        if (held := _held.get()) is not None:
            held.release()
            _held.set(None)
        return held

    async def blocking(self, call: Callable[..., _T], *args: object) -> _T:
        """Run a blocking call while holding a place.

        When cancelled it is waited for, since two threads never share a file; but for one whose
        disk is late: then LeftBehindError is raised.
        """
        future: asyncio.Future[_T]
        future = asyncio.wrap_future(self._threads.begin(call, *args).future)
        try:
            await asyncio.wait([future], timeout=LATE)
            if not future.done():
                held = self._leave()
                try:
                    await asyncio.wait([future])
                finally:
                    if held is not None:
                        await self._take(held)
        except asyncio.CancelledError:
            await asyncio.wait([future], timeout=LATE)
            if not future.done():
                raise LeftBehindError from None
            raise
        return await future
