"""Mails that are ready wait here, and one thread publishes them in groups."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from postamt_sync.awaiting import in_own_thread
from postamt_sync.delivery.job import internal_error
from postamt_sync.delivery.pending_mail import FetchedMail, PublishedMail, WrittenMail
from postamt_sync.delivery.publisher import Publisher, Rest
from postamt_sync.events import Events

GATHERING = 0.2
"""Seconds that a group of mails waits for more while many are being fetched."""

Told = Callable[[Sequence[PublishedMail]], Awaitable[None]]
"""Hears how mails ended; it does not raise."""


class PublishingQueue:
    """The way of ready mails to their end, in the order in which they came."""

    def __init__(
        self,
        name: str,
        publisher: Publisher,
        events: Events,
        told: Told,
        more_to_come: Callable[[int], bool],
        *,
        group: int,
        most: int,
    ) -> None:
        """At most `most` wait, and `group` are published at once. `more_to_come` tells whether many
        are on the way beside those that were taken, so many."""
        self._publisher = publisher
        self._events = events
        self._told = told
        self._more_to_come = more_to_come
        self._group = group
        self._ready: asyncio.Queue[FetchedMail | WrittenMail | None] = asyncio.Queue(most)
        """None ends it."""
        self.thread = ThreadPoolExecutor(1, name)
        self.rests: set[asyncio.Task[None]] = set()
        """What is left to be done where a disk was late."""

    def put(self, mail: FetchedMail | WrittenMail) -> None:
        """Let a mail be published; as many fit as may wait."""
        self._ready.put_nowait(mail)

    async def end(self) -> None:
        """Let `run` return once all that is there has been published."""
        await self._ready.put(None)

    async def run(self) -> None:
        """Publish what comes until `end`. Cancelling leaves mail on the way."""
        loop = asyncio.get_running_loop()
        ended = False
        while not ended:
            taken = await self._gather()
            ended = None in taken
            mails = [mail for mail in taken if mail is not None]
            rests: list[Rest] = []
            try:
                publish = partial(self._publisher.publish, mails, rests.append)
                published = await loop.run_in_executor(self.thread, publish)
            except Exception as error:  # noqa: BLE001  a bug here must not leave mail on the way
                trouble = internal_error(error, self._events)
                published = [mail.gave_up(trouble) for mail in mails]
            await self._told(published)
            for rest in rests:
                task = asyncio.create_task(self._end_late(rest))
                self.rests.add(task)
                task.add_done_callback(self.rests.discard)

    async def _gather(self) -> list[FetchedMail | WrittenMail | None]:
        """Take what is ready, at least one; wait for more only while many are on their way."""
        taken = [await self._ready.get()]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GATHERING):
                while len(taken) < self._group and taken[-1] is not None:
                    if self._ready.empty() and not self._more_to_come(len(taken)):
                        break
                    taken.append(await self._ready.get())
        return taken

    async def _end_late(self, rest: Rest) -> None:
        try:
            published = await in_own_thread(rest)
        except RuntimeError:  # no thread is left for it
            published = await asyncio.get_running_loop().run_in_executor(self.thread, rest)
        await self._told(published)
