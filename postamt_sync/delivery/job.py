"""One mail's job: finish what was prepared, fetch what is missing, and come to an end.

Every way to an end is a method of `Outcomes`.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from postamt_sync.backoff import CircuitBreaker
from postamt_sync.bucket import (
    AccessDeniedError,
    Bucket,
    DamagedError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectGoneError,
    UnopenedError,
)
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.fetcher import (
    SMALL,
    AllFailedError,
    Fetcher,
    KnownContent,
    NoEnvelope,
    NoMail,
    is_long,
    known_without_fetching,
)
from postamt_sync.delivery.outcomes import Outcomes
from postamt_sync.delivery.pending_mail import FetchedMail, WrittenMail
from postamt_sync.delivery.places import LeftBehindError, Places
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.errors import PostamtError, UndeliverableError
from postamt_sync.events import Events
from postamt_sync.ledger import DeliveryState, Task
from postamt_sync.ledger.work import Work
from postamt_sync.mail.arrival import is_no_mail


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
        places: Places,
    ) -> None:
        self._bucket = bucket
        self._work = work
        self._fetcher = fetcher
        self._publisher = publisher
        self._outcomes = outcomes
        self._breaker = breaker
        self._events = events
        self._places = places
        self._blocking = places.blocking

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
        except (AccessDeniedError, DamagedError, UnopenedError) as error:  # of this object alone
            await self._outcomes.postponed(task, error)
        except PostamtError as error:
            await self._outcomes.postponed(task, error)
            self._breaker.failed(error)
        except LeftBehindError:
            raise
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
            unpublished = await self._blocking(self._publisher.resume, task, destinations.mailboxes)
            if not unpublished:
                return None  # done, or due at once for whatever is missing still
            task = await asyncio.to_thread(self._work.again, task)
            if task.lacks_only_prepared:
                raise AllFailedError(unpublished)
        if (known := known_without_fetching(task, destinations)) is not None:
            await self._outcomes.known(task, known)
            return None
        await self._check_mailboxes(task, destinations, ask_disks=check_mailboxes)
        try:
            return await self._fetch(task, destinations, unpublished)
        except (ObjectGoneError, ObjectArchivedError, UndeliverableError):
            if unpublished:  # the prepared copies do not need the object any more
                raise AllFailedError(unpublished) from None
            raise

    async def _fetch(
        self, task: Task, destinations: Destinations, unpublished: dict[str, PostamtError]
    ) -> FetchedMail | WrittenMail | None:
        result = None
        try:
            if is_long(task):
                await self._places.wait_for_long()
            started = time.monotonic()
            async with self._bucket.fetch(task.key, etag=task.etag) as fetched:
                self._breaker.succeeded()
                if fetched.size <= SMALL or await self._places.take_long():
                    result = await self._fetcher.collect(task, destinations, fetched, unpublished)
        except (ObjectGoneError, ObjectArchivedError, ObjectChangedError, AccessDeniedError):
            self._breaker.succeeded()  # the bucket answers, though not as hoped
            raise
        if result is None:  # it stays due, and waits in the ledger until there is a place
            await asyncio.to_thread(self._work.note_size, task, fetched.size)
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

    async def _check_mailboxes(
        self, task: Task, destinations: Destinations, *, ask_disks: bool
    ) -> None:
        """Skip the fetch where the envelope is known and no mailbox can take its copy."""
        failed: dict[str, PostamtError] = {}
        mailboxes = destinations.mailboxes
        names = destinations.routes.mailboxes(task.recipients)
        for name in names:
            try:
                if (late := mailboxes.late(name)) is not None:
                    raise late
                if ask_disks:
                    await self._blocking(mailboxes.ready, name)
            except PostamtError as error:
                failed[name] = error
        if failed and len(failed) == len(names):
            raise AllFailedError(failed)


def internal_error(error: Exception, events: Events) -> PostamtError:
    """Return a PostamtError as it is, an error of our own wrapped: the mail is tried again."""
    if isinstance(error, PostamtError):
        return error
    events.internal_error(error)
    return PostamtError(
        f"Unexpected error: {error!r}.", "Please report it; the mail is tried again."
    )
