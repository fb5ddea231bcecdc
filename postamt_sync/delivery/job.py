"""One mail's turn: finish what was prepared, fetch what is missing, and come to an end."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

from postamt_sync.bucket import (
    AccessDeniedError,
    Bucket,
    DamagedError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectGoneError,
)
from postamt_sync.delivery.circuit_breaker import CircuitBreaker
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.fetcher import (
    AllFailedError,
    Fetcher,
    KnownContent,
    NoEnvelope,
    NoMail,
    known_without_fetching,
)
from postamt_sync.delivery.outcomes import Outcomes
from postamt_sync.delivery.pending_mail import PendingMail
from postamt_sync.delivery.publisher import Publisher
from postamt_sync.errors import PostamtError, UndeliverableError
from postamt_sync.events import Events
from postamt_sync.ledger import DeliveryState, Task
from postamt_sync.ledger.work import Work
from postamt_sync.mail.arrival import is_no_mail


class MailJob:
    """Takes mails one by one; many turns run side by side."""

    def __init__(
        self,
        bucket: Bucket,
        work: Work,
        group: Publisher,
        outcomes: Outcomes,
        breaker: CircuitBreaker,
        events: Events,
        threads: Executor,
    ) -> None:
        self._bucket = bucket
        self._work = work
        self._publisher = group
        self._outcomes = outcomes
        self._breaker = breaker
        self._events = events
        self._threads = threads
        self._fetcher = Fetcher(group, threads)

    async def take(self, task: Task, destinations: Destinations) -> PendingMail | None:
        """Bring a mail as far as it goes; what is returned is to be published.

        Every other end is in the ledger. Raises PostamtError if the ledger itself refuses.
        """
        try:
            return await self._take(task, destinations)
        except AllFailedError as error:
            await self._outcomes.postponed(task, error, error.mailboxes)
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
        return None

    async def _take(self, task: Task, destinations: Destinations) -> PendingMail | None:
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
        if self._outcomes.vanished:
            await self._check_mailboxes(task, destinations)
        try:
            return await self._fetch(task, destinations, unpublished)
        except (ObjectGoneError, ObjectArchivedError, UndeliverableError):
            if unpublished:  # the prepared copies do not need the object any more
                raise AllFailedError(unpublished) from None
            raise

    async def _fetch(
        self, task: Task, destinations: Destinations, unpublished: dict[str, PostamtError]
    ) -> PendingMail | None:
        started = time.monotonic()
        try:
            async with self._bucket.fetch(task.key, etag=task.etag) as fetched:
                self._breaker.succeeded()
                result = await self._fetcher.collect(task, destinations, fetched, unpublished)
        except (ObjectGoneError, ObjectArchivedError, ObjectChangedError, AccessDeniedError):
            self._breaker.succeeded()  # the bucket answers, if not as we would like
            raise
        if isinstance(result, PendingMail):
            self._events.fetched(task.mail, result.size, time.monotonic() - started)
            self._events.envelope_known(task.mail, list(task.recipients))
            if destinations.has_index and not task.grace_started:
                result.ask_at = self._outcomes.moment(
                    _grace_left(destinations, result.last_modified)
                )
            return result
        if unpublished:
            raise AllFailedError(unpublished)
        if isinstance(result, NoMail):
            await self._outcomes.skipped(task)
        elif isinstance(result, NoEnvelope):
            await self._outcomes.awaits_envelope(
                task,
                _grace_left(destinations, result.last_modified),
                has_index=destinations.has_index,
            )
        elif isinstance(result, KnownContent):
            self._events.same_content(task.mail)
            await self._outcomes.known(task, result)
        return None

    async def _check_mailboxes(self, task: Task, destinations: Destinations) -> None:
        """Save the fetch where the envelope is known and no mailbox can take its copy."""
        failed: dict[str, PostamtError] = {}
        names = destinations.routes.mailboxes(task.recipients)
        for name in names:
            try:
                await asyncio.to_thread(destinations.mailboxes.ready, name)
            except PostamtError as error:
                failed[name] = error
        if failed and len(failed) == len(names):
            raise AllFailedError(failed)


def _grace_left(destinations: Destinations, last_modified: float) -> float:
    return max(0.0, destinations.grace_left(last_modified))


def internal_error(error: Exception, events: Events) -> PostamtError:
    """Say that an error of ours came up; the mail is tried again all the same."""
    events.trouble("internal error", repr(error))
    return PostamtError(
        f"An error of ours: {error!r}.", "Please report it; the mail is tried again."
    )
