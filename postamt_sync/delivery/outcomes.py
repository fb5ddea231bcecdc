"""How each job ended: written into the ledger, told by an event, counted."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from postamt_sync.backoff import growing_pause
from postamt_sync.delivery.fetcher import KnownContent
from postamt_sync.delivery.mailbox_threads import HangingDiskError
from postamt_sync.delivery.marker import MailboxVanishedError
from postamt_sync.delivery.pending_mail import PublishedMail
from postamt_sync.errors import PostamtError
from postamt_sync.events import Events
from postamt_sync.ledger import ObjectState, Task
from postamt_sync.ledger.envelope_lookups import PATIENCE
from postamt_sync.ledger.work import Work

REMEMBERED = 10_000

IsSealed = Callable[[str], Awaitable[bool]]
"""Tells whether a sealed object stands for a key; raises what listing the bucket raises."""


async def nothing_is_sealed(_key: str) -> bool:
    """For those who have no place for sealed mail."""
    return False


@dataclass(slots=True)
class Progress:
    """What the courier has done since it started; `bytes` as S3 counts them.

    `mails` counts a mail each time that it was due and is no more, `settled` each mail once.
    """

    mails: int = 0
    bytes: int = 0
    settled: int = 0


class Outcomes:
    """Records how each job ended. Every method raises PostamtError if the ledger refuses."""

    def __init__(self, work: Work, events: Events, clock: Callable[[], float]) -> None:
        self.progress = Progress()
        self._counted: OrderedDict[str, None] = OrderedDict()
        """The last mails that were counted: news of one may come while it is on its way."""
        self._work = work
        self._events = events
        self._clock = clock
        self.is_sealed: IsSealed = nothing_is_sealed
        self.late: set[str] = set()
        """Mailboxes whose disk did not answer in time for some mail, until someone forgets them."""

    async def published(self, published: PublishedMail) -> frozenset[str]:
        """The publisher has done what it could for this mail; return which mailboxes vanished.

        Where some disk was late it is not the end of the mail yet, and the rest is told later.
        """
        mail = published.mail
        task = mail.task
        folder = published.delivered[0].folder if published.delivered else ""
        delivered = [copy.mailbox for copy in published.delivered]
        if not published.is_rest:
            named = [*delivered, *published.failed, *published.late]
            self._events.routed(task.mail, named, mail.evidence, folder)
            if mail.absent:
                self._events.absent(task.mail, mail.absent)
        for mailbox in delivered:
            seconds = max(0.0, time.time() - mail.received_at)
            self._events.delivered(task.mail, mailbox, seconds, mail.size, mail.sender)
        if published.late:
            return frozenset()
        if failed := {**mail.unpublished, **published.failed}:
            return await self.postponed(task, next(iter(failed.values())), failed)
        self._count(task, mail.size)
        return frozenset()

    async def postponed(
        self,
        task: Task,
        error: PostamtError,
        mailboxes: Mapping[str, PostamtError] | None = None,
    ) -> frozenset[str]:
        """Try again later; `mailboxes` says which of them could not take their copy.

        Returns those of them whose disk seems not to be mounted.
        """
        pause = growing_pause(task.attempts)
        failed = mailboxes or {}
        self.late |= {name for name, why in failed.items() if isinstance(why, HangingDiskError)}
        reasons = [(name, str(why)) for name, why in failed.items()]
        await asyncio.to_thread(
            self._work.postpone, task, str(error), self._clock() + pause, reasons
        )
        self._events.postponed(task.mail, ", ".join(failed), error.problem, pause)
        return frozenset(
            name for name, why in failed.items() if isinstance(why, MailboxVanishedError)
        )

    async def known(self, task: Task, known: KnownContent) -> None:
        """Every mailbox has it already."""
        await asyncio.to_thread(
            self._work.settle_known,
            task,
            known.etag,
            known.size,
            known.last_modified,
            known.absent,
        )
        if known.absent:
            self._events.absent(task.mail, known.absent)
        self._count(task, known.size)

    async def awaits_envelope(self, task: Task, seconds: float, *, has_index: bool) -> None:
        """Its envelope may still come; with an index, that is asked after so many seconds."""
        self._events.envelope_awaited(task.mail, seconds)
        ask_at = self._clock() + seconds if has_index else None
        patience = PATIENCE if has_index else 0.0
        await asyncio.to_thread(
            self._work.await_envelope, task, self._clock() + seconds + patience, ask_at
        )

    async def changed(self, task: Task) -> None:
        """It is another object by now."""
        await asyncio.to_thread(self._work.look_again, task)
        self._events.changed(task.mail)

    async def quarantined(self, task: Task, error: PostamtError) -> None:
        """It can never be delivered as it is."""
        await self._end(task, ObjectState.QUARANTINED, str(error))
        self._events.quarantined(task.mail, task.key, error.problem)

    async def gone(self, task: Task) -> None:
        """It is no longer in the bucket, or only its owner can open what is left of it."""
        try:
            sealed = await self.is_sealed(task.key)
        except PostamtError as error:
            await self.postponed(task, error)
            return
        await self._end(task, ObjectState.SEALED if sealed else ObjectState.GONE)
        (self._events.sealed if sealed else self._events.gone)(task.mail)

    async def archived(self, task: Task, storage_class: str) -> None:
        """It cannot be read before it is restored."""
        await self._end(task, ObjectState.ARCHIVED)
        self._events.archived(task.mail, storage_class)

    async def skipped(self, task: Task) -> None:
        """It is no mail."""
        await self._end(task, ObjectState.SKIPPED)
        self._events.skipped(task.mail, task.key)

    async def _end(self, task: Task, state: ObjectState, problem: str | None = None) -> None:
        await asyncio.to_thread(self._work.end, task, state, problem)
        self._count(task, 0)

    def _count(self, task: Task, size: int) -> None:
        self.progress.mails += 1
        self.progress.bytes += size
        if task.settled_before or task.mail in self._counted:
            return
        self.progress.settled += 1
        self._counted[task.mail] = None
        if len(self._counted) > REMEMBERED:
            self._counted.popitem(last=False)
