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
from postamt_sync.delivery.circuit_breaker import Hold
from postamt_sync.delivery.fetcher import (
    AllFailedError,
    House,
    Known,
    NoEnvelope,
    NoMail,
    Pickup,
    known_without_fetching,
)
from postamt_sync.delivery.outcomes import Endings
from postamt_sync.delivery.pending_mail import Ready
from postamt_sync.delivery.publisher import Group
from postamt_sync.errors import PostamtError, UndeliverableError
from postamt_sync.events import Events
from postamt_sync.ledger import DeliveryState, Task
from postamt_sync.ledger.work import Work
from postamt_sync.mail.arrival import is_no_mail


class Turn:
    """Takes mails one by one; many turns run side by side."""

    def __init__(
        self,
        bucket: Bucket,
        work: Work,
        group: Group,
        endings: Endings,
        hold: Hold,
        events: Events,
        threads: Executor,
    ) -> None:
        self._bucket = bucket
        self._work = work
        self._group = group
        self._endings = endings
        self._hold = hold
        self._events = events
        self._threads = threads
        self._pickup = Pickup(group, threads)

    async def take(self, task: Task, house: House) -> Ready | None:
        """Bring a mail as far as it goes; what is returned is to be published.

        Every other end is in the ledger. Raises PostamtError if the ledger itself refuses.
        """
        try:
            return await self._take(task, house)
        except AllFailedError as error:
            await self._endings.postponed(task, error, error.mailboxes)
        except UndeliverableError as error:
            await self._endings.quarantined(task, error)
        except ObjectGoneError:
            await self._endings.gone(task)
        except ObjectArchivedError as error:
            await self._endings.archived(task, error.storage_class)
        except ObjectChangedError:
            await self._endings.changed(task)
        except (AccessDeniedError, DamagedError) as error:  # of this object alone
            await self._endings.postponed(task, error)
        except PostamtError as error:
            await self._endings.postponed(task, error)
            self._hold.fetch_failed(error)
        except Exception as error:  # noqa: BLE001  one mail's bug must not end the others' delivery
            await self._endings.postponed(task, bug(error, self._events))
        return None

    async def _take(self, task: Task, house: House) -> Ready | None:
        if is_no_mail(task.key, task.size):
            await self._endings.skipped(task)
            return None
        stuck: dict[str, PostamtError] = {}
        if any(copy.state is DeliveryState.PREPARED for copy in task.deliveries):
            stuck = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._group.resume, task, house.mailboxes
            )
            if not stuck:
                return None  # done, or due at once for whatever is missing still
            task = await asyncio.to_thread(self._work.again, task)
            if task.lacks_only_prepared:
                raise AllFailedError(stuck)
        if (known := known_without_fetching(task, house)) is not None:
            await self._endings.known(task, known)
            return None
        if self._endings.vanished:
            await self._check_mailboxes(task, house)
        try:
            return await self._fetch(task, house, stuck)
        except (ObjectGoneError, ObjectArchivedError, UndeliverableError):
            if stuck:  # the prepared copies do not need the object any more
                raise AllFailedError(stuck) from None
            raise

    async def _fetch(
        self, task: Task, house: House, stuck: dict[str, PostamtError]
    ) -> Ready | None:
        started = time.monotonic()
        try:
            async with self._bucket.fetch(task.key, etag=task.etag) as fetched:
                self._hold.release()
                result = await self._pickup.collect(task, house, fetched, stuck)
        except (ObjectGoneError, ObjectArchivedError, ObjectChangedError, AccessDeniedError):
            self._hold.release()  # the bucket answers, if not as we would like
            raise
        if isinstance(result, Ready):
            self._events.fetched(task.mail, result.size, time.monotonic() - started)
            self._events.envelope_known(task.mail, list(task.recipients))
            if house.has_index and not task.grace_started:
                result.ask_at = self._endings.moment(_grace_left(house, result.last_modified))
            return result
        if stuck:
            raise AllFailedError(stuck)
        if isinstance(result, NoMail):
            await self._endings.skipped(task)
        elif isinstance(result, NoEnvelope):
            await self._endings.awaits_envelope(
                task, _grace_left(house, result.last_modified), has_index=house.has_index
            )
        elif isinstance(result, Known):
            self._events.same_content(task.mail)
            await self._endings.known(task, result)
        return None

    async def _check_mailboxes(self, task: Task, house: House) -> None:
        """Save the fetch where the envelope is known and no mailbox can take its copy."""
        failed: dict[str, PostamtError] = {}
        names = house.routes.mailboxes(task.recipients)
        for name in names:
            try:
                await asyncio.to_thread(house.mailboxes.ready, name)
            except PostamtError as error:
                failed[name] = error
        if failed and len(failed) == len(names):
            raise AllFailedError(failed)


def _grace_left(house: House, last_modified: float) -> float:
    return max(0.0, house.grace_left(last_modified))


def bug(error: Exception, events: Events) -> PostamtError:
    """Say that an error of ours came up; the mail is tried again all the same."""
    events.trouble("internal error", repr(error))
    return PostamtError(
        f"An error of ours: {error!r}.", "Please report it; the mail is tried again."
    )
