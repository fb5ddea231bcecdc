"""How many mails are being fetched at once, and what of that may wait for a disk."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import TypeVar

from postamt_sync.delivery.mailbox_threads import LATE, MailboxThreads

_T = TypeVar("_T")


class LeftBehindError(Exception):
    """A call whose disk is late goes on by itself: whoever waited for it has ended."""


_held: ContextVar[asyncio.Semaphore | None] = ContextVar("held", default=None)
"""Of which kind the place is that this task has."""


class Places:
    """So many at once, each in its `async with`. Who waits for a disk lets another go on.

    Long mails have places of their own: a slow line may take hours for them, and no short one waits
    that long. `threads` of all may wait for disks; none is waited for at the end of the process.
    """

    def __init__(self, places: int, long: int, threads: int) -> None:
        self._free = asyncio.Semaphore(places)
        self._long = asyncio.Semaphore(long)
        self._threads = MailboxThreads("writer", patience=math.inf, most=threads)

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

    async def _take(self, kind: asyncio.Semaphore) -> None:
        await kind.acquire()
        _held.set(kind)

    def _leave(self) -> asyncio.Semaphore | None:
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
