"""The courier: works off what is due in the ledger, many mails at a time.

Fetching and writing run side by side, each mail on its own; what is written is published in groups.
Memory is bounded by the number of mails on their way, and everything else stays in the ledger. When
the bucket itself cannot be reached, the courier holds still instead of failing mail by mail.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from postamt_sync.bucket import (
    AccessDeniedError,
    Bucket,
    DamagedError,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectGoneError,
)
from postamt_sync.delivery.endings import Endings, Progress
from postamt_sync.delivery.group import Group, Ready, Witness, no_witness
from postamt_sync.delivery.hold import Hold
from postamt_sync.delivery.pickup import (
    AllFailedError,
    House,
    Known,
    NoEnvelope,
    NoMail,
    Pickup,
    known_without_fetching,
)
from postamt_sync.errors import PostamtError, UndeliverableError
from postamt_sync.events import Events
from postamt_sync.ledger import DeliveryState, Ledger, Task
from postamt_sync.mail.arrival import is_no_mail

AT_ONCE = 32
"""Mails being fetched and written at the same time."""
ON_THE_WAY = 128
"""Mails taken from the ledger and not finished yet; the most that memory has to hold."""
GROUP = 64
WRITERS = 8
LOOK_EVERY = 2.0
"""Seconds between looks for what has become due, or what another process has made due."""


class Courier:
    """Delivers what the ledger says is due. One per state directory: hold the CourierLock."""

    def __init__(
        self,
        ledger: Ledger,
        bucket: Bucket,
        house: House,
        events: Events,
        *,
        witness: Witness = no_witness,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.house = house
        """Replaced as a whole on reload; mails on their way end under the old one."""
        self._work = ledger.work
        self._bucket = bucket
        self._events = events
        self._clock = clock
        self._writers = ThreadPoolExecutor(WRITERS, "writer")
        self._publisher = ThreadPoolExecutor(1, "publisher")
        self._group = Group(self._work, events, witness)
        self._pickup = Pickup(self._group, self._writers, self._grace_over)
        self._endings = Endings(self._work, events, clock)
        self._hold = Hold(clock)
        self._fetching = asyncio.Semaphore(AT_ONCE)
        self._busy: set[str] = set()
        self._fetches: set[asyncio.Task[None]] = set()
        self._written: asyncio.Queue[Ready | None] = asyncio.Queue(ON_THE_WAY)
        self._awake = asyncio.Event()

    @property
    def progress(self) -> Progress:
        return self._endings.progress

    @property
    def trouble(self) -> PostamtError | None:
        """Why the bucket cannot be read now, None while it can."""
        return self._hold.trouble

    def wake(self) -> None:
        """Look into the ledger now: something in it may be due."""
        self._awake.set()

    async def bucket_is_back(self) -> None:
        """The bucket was just read: what failed meanwhile is due at once."""
        if self._hold.trouble is not None:
            self._hold.release()
            await asyncio.to_thread(self._work.hurry)
        self.wake()

    async def run(self, *, until_idle: bool = False) -> None:
        """Deliver until cancelled, or with `until_idle` until nothing is due any more.

        When cancelled, fetches are given up and what is written is still published: nothing is
        half done. With `until_idle` raises what keeps the bucket from being read.
        """
        publishing = asyncio.create_task(self._publish())
        try:
            await self._take(until_idle=until_idle)
        finally:
            for fetch in self._fetches:
                fetch.cancel()
            await asyncio.gather(*self._fetches, return_exceptions=True)
            await self._written.put(None)
            await publishing
            self._writers.shutdown()
            self._publisher.shutdown()

    async def _take(self, *, until_idle: bool) -> None:
        while True:
            self._awake.clear()
            if until_idle and self.trouble is not None:
                raise self.trouble
            tasks = await self._due()
            for task in tasks:
                self._start(task)
            if until_idle and not self._busy and self.trouble is None:
                return
            if not tasks:
                await self._look_after_mailboxes()
                await self._sleep()

    async def _due(self) -> list[Task]:
        now = self._clock()
        room = ON_THE_WAY - len(self._busy)
        if room < AT_ONCE or self._hold.active:
            return []
        try:
            return await asyncio.to_thread(self._work.due, now, room, self._busy)
        except PostamtError as error:
            self._hold.begin(error)
            return []

    async def _sleep(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _look_after_mailboxes(self) -> None:
        """Let the mail of a vanished mailbox go on at once when its disk is back."""
        for name in list(self._endings.vanished):
            try:
                await asyncio.to_thread(self.house.mailboxes.ready, name)
                await asyncio.to_thread(self._work.hurry_mailbox, name)
            except (PostamtError, KeyError):
                continue
            self._endings.vanished.discard(name)

    def _start(self, task: Task) -> None:
        self._busy.add(task.mail)
        fetch = asyncio.create_task(self._carry(task))
        self._fetches.add(fetch)
        fetch.add_done_callback(self._fetches.discard)

    def _done(self, task: Task) -> None:
        self._busy.discard(task.mail)
        if len(self._busy) <= ON_THE_WAY - AT_ONCE:
            self._awake.set()

    async def _carry(self, task: Task) -> None:
        handed_over = False
        try:
            async with self._fetching:
                handed_over = await self._attempt(task)
        except PostamtError as error:  # the ledger itself refuses; nothing can be noted
            self._hold.begin(error)
        finally:
            if not handed_over:
                self._done(task)

    async def _attempt(self, task: Task) -> bool:
        """Bring a task as far as it goes; True: the publisher has it now. Raises for the ledger."""
        try:
            return await self._fetch_and_hand_over(task)
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
            await self._endings.postponed(task, self._bug(error))
        return False

    def _bug(self, error: Exception) -> PostamtError:
        self._events.trouble("internal error", repr(error))
        return PostamtError(
            f"An error of ours: {error!r}.", "Please report it; the mail is tried again."
        )

    async def _fetch_and_hand_over(self, task: Task) -> bool:
        house = self.house
        if is_no_mail(task.key, task.size):
            await self._endings.skipped(task)
            return False
        if any(copy.state is DeliveryState.PREPARED for copy in task.deliveries):
            await self._resume(task)
            return False
        if (known := known_without_fetching(task, house)) is not None:
            await self._endings.known(task, known)
            return False
        if self._endings.vanished:
            await self._check_mailboxes(task, house)
        started = self._clock()
        try:
            async with self._bucket.fetch(task.key, etag=task.etag) as fetched:
                self._hold.release()
                result = await self._pickup.collect(task, house, fetched)
        except (ObjectGoneError, ObjectArchivedError, ObjectChangedError, AccessDeniedError):
            self._hold.release()  # the bucket answers, if not as we would like
            raise
        if isinstance(result, Ready):
            self._events.fetched(task.mail, result.size, self._clock() - started)
            self._events.envelope_known(task.mail, list(task.recipients))
            await self._written.put(result)
            return True
        if isinstance(result, NoMail):
            await self._endings.skipped(task)
        elif isinstance(result, NoEnvelope):
            await self._endings.awaits_envelope(task, self._grace_left(result.last_modified))
        elif isinstance(result, Known):
            self._events.same_content(task.mail)
            await self._endings.known(task, result)
        return False

    async def _resume(self, task: Task) -> None:
        loop = asyncio.get_running_loop()
        failed = await loop.run_in_executor(
            self._publisher, self._group.resume, task, self.house.mailboxes
        )
        if failed:
            raise AllFailedError(failed)

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

    async def _publish(self) -> None:
        loop = asyncio.get_running_loop()
        ended = False
        while not ended:
            mails = [await self._written.get()]
            while len(mails) < GROUP and not self._written.empty():
                mails.append(self._written.get_nowait())
            ended = None in mails
            ready = [mail for mail in mails if mail is not None]
            try:
                await loop.run_in_executor(self._publisher, self._group.publish, ready)
            except Exception as error:  # noqa: BLE001  a bug here must not leave mail on the way
                for mail in ready:
                    mail.fail_all(self._bug(error))
            for mail in ready:
                try:
                    await self._endings.published(mail)
                except PostamtError as error:
                    self._hold.begin(error)
                self._done(mail.task)

    def _grace_left(self, last_modified: float) -> float:
        # Never longer than the grace itself: this machine's clock may be years behind.
        grace = self.house.envelope_grace
        return min(grace, last_modified + grace - time.time())

    def _grace_over(self, task: Task, last_modified: float) -> bool:
        return task.grace_started or self._grace_left(last_modified) <= 0
