"""A single pass waits for disks that are merely slow, once nothing else is to be done.

A disk that has not answered for a moment gets no new mail: others do not wait for it. The daemon
comes back to that mail after a pause. A pass ends instead, and would count the mail as failed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection

from postamt_sync.delivery.destinations import Destinations
from postamt_sync.ledger.work import Work

WAITS_IN_VAIN = 5
"""How often in a row a disk is waited for that is late again before any mail comes to its end."""
LOOK_EVERY = 0.1
"""Seconds between looks at a disk that is late, which ask nothing of it."""


class LateDisks:
    """Makes mail due again for which a disk was too late."""

    def __init__(self, work: Work, destinations: Callable[[], Destinations]) -> None:
        self._work = work
        self._destinations = destinations
        self._ended = 0
        self._in_vain = 0

    async def answer(self, names: Collection[str], ended: int) -> bool:
        """Wait for the disks of these mailboxes; False: there is nothing more to be had of them.

        `ended` counts the mails that have come to their end so far.
        """
        if ended != self._ended:
            self._ended, self._in_vain = ended, 0
        if self._in_vain == WAITS_IN_VAIN:
            return False
        self._in_vain += 1
        answering = [name for name in names if await self._answers(name)]
        for name in answering:
            await asyncio.to_thread(self._work.retry_mailbox_now, name)
        return bool(answering)

    async def _answers(self, name: str) -> bool:
        """Wait until a mailbox's disk is no longer late; False: it hangs."""
        with contextlib.suppress(KeyError):  # a reload may have taken the mailbox away
            threads = self._destinations().mailboxes.find(name).threads
            while threads is not None and threads.late() is not None:
                if threads.hang():
                    return False
                await asyncio.sleep(LOOK_EVERY)
            return True
        return False
