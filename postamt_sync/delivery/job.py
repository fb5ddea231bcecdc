"""One mail's job: finish what was prepared, fetch what is missing, and come to an end.

Every end is written into the ledger and told by an event (`Outcomes`).
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from postamt_sync.backoff import CircuitBreaker, growing_pause
from postamt_sync.bucket import (
    AccessDeniedError,
    Bucket,
    DamagedError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectGoneError,
)
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.fetcher import (
    AllFailedError,
    Fetcher,
    KnownContent,
    NoEnvelope,
    NoMail,
    known_without_fetching,
)
from postamt_sync.delivery.marker import MailboxVanishedError
from postamt_sync.delivery.pending_mail import FetchedMail, PublishedMail, WrittenMail
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.errors import PostamtError, UndeliverableError
from postamt_sync.events import Events
from postamt_sync.ledger import DeliveryState, ObjectState, Task
from postamt_sync.ledger.envelope_lookups import PATIENCE
from postamt_sync.ledger.work import Work
from postamt_sync.mail.arrival import is_no_mail

REMEMBERED = 10_000


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

    async def published(self, published: PublishedMail) -> frozenset[str]:
        """The publisher has done what it could for this mail; return which mailboxes vanished."""
        mail = published.mail
        task = mail.task
        folder = published.delivered[0].folder if published.delivered else ""
        delivered = [copy.mailbox for copy in published.delivered]
        self._events.routed(task.mail, [*delivered, *published.failed], mail.evidence, folder)
        if mail.absent:
            self._events.absent(task.mail, mail.absent)
        for mailbox in delivered:
            self._events.delivered(task.mail, mailbox, max(0.0, time.time() - mail.received_at))
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
        """It is no longer in the bucket."""
        await self._end(task, ObjectState.GONE)
        self._events.gone(task.mail)

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


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that left nothing to publish: how it ended is in the ledger.

    `vanished` are mailboxes that turned out to have vanished.
    """

    vanished: frozenset[str] = frozenset()


class MailJob:
    """Takes one mail at a time; many such jobs run side by side."""

    def __init__(
        self,
        bucket: Bucket,
        work: Work,
        fetcher: Fetcher,
        publisher: Publisher,
        outcomes: Outcomes,
        breaker: CircuitBreaker,
        events: Events,
        threads: Executor,
    ) -> None:
        self._bucket = bucket
        self._work = work
        self._fetcher = fetcher
        self._publisher = publisher
        self._outcomes = outcomes
        self._breaker = breaker
        self._events = events
        self._threads = threads

    async def take(
        self, task: Task, destinations: Destinations, *, check_mailboxes: bool = False
    ) -> FetchedMail | WrittenMail | Ended:
        """Take a mail as far as it can go: until it can be published, or to its end.

        With `check_mailboxes` nothing is fetched for mailboxes none of which is there. Raises
        PostamtError if the ledger itself refuses.
        """
        try:
            mail = await self._take(task, destinations, check_mailboxes=check_mailboxes)
            return mail or Ended()
        except AllFailedError as error:
            return Ended(await self._outcomes.postponed(task, error, error.mailboxes))
        except UndeliverableError as error:
            await self._outcomes.quarantined(task, error)
        except ObjectGoneError:
            await self._outcomes.gone(task)
        except ObjectArchivedError as error:
            await self._outcomes.archived(task, error.storage_class)
        except ObjectChangedError:
            await self._outcomes.changed(task)
        except (AccessDeniedError, DamagedError) as error:  # of this object alone
            await self._outcomes.postponed(task, error)
        except PostamtError as error:
            await self._outcomes.postponed(task, error)
            self._breaker.failed(error)
        except Exception as error:  # noqa: BLE001  one mail's bug must not end the others' delivery
            await self._outcomes.postponed(task, internal_error(error, self._events))
        return Ended()

    async def _take(
        self, task: Task, destinations: Destinations, *, check_mailboxes: bool
    ) -> FetchedMail | WrittenMail | None:
        if is_no_mail(task.key, task.size):
            await self._outcomes.skipped(task)
            return None
        unpublished: dict[str, PostamtError] = {}
        if any(copy.state is DeliveryState.PREPARED for copy in task.deliveries):
            unpublished = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._publisher.resume, task, destinations.mailboxes
            )
            if not unpublished:
                return None  # done, or due at once for whatever is missing still
            task = await asyncio.to_thread(self._work.again, task)
            if task.lacks_only_prepared:
                raise AllFailedError(unpublished)
        if (known := known_without_fetching(task, destinations)) is not None:
            await self._outcomes.known(task, known)
            return None
        if check_mailboxes:
            await self._check_mailboxes(task, destinations)
        try:
            return await self._fetch(task, destinations, unpublished)
        except (ObjectGoneError, ObjectArchivedError, UndeliverableError):
            if unpublished:  # the prepared copies do not need the object any more
                raise AllFailedError(unpublished) from None
            raise

    async def _fetch(
        self, task: Task, destinations: Destinations, unpublished: dict[str, PostamtError]
    ) -> FetchedMail | WrittenMail | None:
        started = time.monotonic()
        try:
            async with self._bucket.fetch(task.key, etag=task.etag) as fetched:
                self._breaker.succeeded()
                result = await self._fetcher.collect(task, destinations, fetched, unpublished)
        except (ObjectGoneError, ObjectArchivedError, ObjectChangedError, AccessDeniedError):
            self._breaker.succeeded()  # the bucket answers, though not as hoped
            raise
        if isinstance(result, FetchedMail | WrittenMail):
            self._events.fetched(task.mail, result.mail.size, time.monotonic() - started)
            self._events.envelope_known(task.mail, list(task.recipients))
            return result
        if unpublished:
            raise AllFailedError(unpublished)
        if isinstance(result, NoMail):
            await self._outcomes.skipped(task)
        elif isinstance(result, NoEnvelope):
            await self._outcomes.awaits_envelope(
                task, result.grace_left, has_index=destinations.has_index
            )
        elif isinstance(result, KnownContent):
            self._events.same_content(task.mail)
            await self._outcomes.known(task, result)
        return None

    async def _check_mailboxes(self, task: Task, destinations: Destinations) -> None:
        """Skip the fetch where the envelope is known and no mailbox can take its copy."""
        failed: dict[str, PostamtError] = {}
        names = destinations.routes.mailboxes(task.recipients)
        for name in names:
            try:
                await asyncio.to_thread(destinations.mailboxes.ready, name)
            except PostamtError as error:
                failed[name] = error
        if failed and len(failed) == len(names):
            raise AllFailedError(failed)


def internal_error(error: Exception, events: Events) -> PostamtError:
    """Wrap an error of our own; the mail is tried again all the same."""
    events.internal_error(error)
    return PostamtError(
        f"An error of ours: {error!r}.", "Please report it; the mail is tried again."
    )
