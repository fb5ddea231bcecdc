"""How many mails are being fetched at once, and what of that may wait for a disk."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from postamt_sync.delivery.mailbox_threads import LATE, MailboxThreads

_T = TypeVar("_T")


class LeftBehindError(Exception):
    """A call whose disk is late goes on by itself: whoever waited for it has ended."""


class Places:
    """So many at once, each in its `async with`. Who waits for a disk lets another go on.

    `threads` of them may wait for disks; none is waited for at the end of the process.
    """

    def __init__(self, places: int, threads: int) -> None:
        self._free = asyncio.Semaphore(places)
        self._threads = MailboxThreads("writer", patience=math.inf, most=threads)

    async def __aenter__(self) -> None:
        await self._free.acquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._free.release()

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
                self._free.release()
                try:
                    await asyncio.wait([future])
                finally:
                    await self._free.acquire()
        except asyncio.CancelledError:
            await asyncio.wait([future], timeout=LATE)
            if not future.done():
                raise LeftBehindError from None
            raise
        return await future
