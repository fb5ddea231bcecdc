"""Bringing back mail from the bucket that is no longer at home.

What can be read is made due at once. If an object is in an archive, S3 is asked to restore it first
(RestoreObject), and it is made due as soon as it can be read. All orders are in the ledger: a
restore that was interrupted is continued by the next one, or by the daemon's daily reconcile. The
courier delivers, in this process or in the running daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from postamt_sync.aws.error_answer import code_of
from postamt_sync.aws.error_codes import ErrorCause, cause_of
from postamt_sync.aws.errors import Asker, ForbiddenError, refusal
from postamt_sync.bucket import (
    AccessDeniedError,
    Bucket,
    ObjectArchivedError,
    ObjectGoneError,
)
from postamt_sync.config import Settings
from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import Events, printable
from postamt_sync.ledger import CourierLock, Ledger
from postamt_sync.ledger.restores import Order, Wanted
from postamt_sync.recovery.difference import Difference, DifferenceKind
from postamt_sync.recovery.sealed_restore import SealedMail, SealedRestore

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

RESTORABLE = (
    DifferenceKind.MISSING,
    DifferenceKind.ABSENT,
    DifferenceKind.ARCHIVED,
    DifferenceKind.SEALED,
    DifferenceKind.UNDELIVERED,
)

AT_ONCE = 8
"""How many requests to S3 are made at a time."""
UNREADY = 3
"""How many unready objects in a row end a look: later orders are not ready before these."""
LOOK_EVERY = {"Expedited": 20.0, "Standard": 300.0, "Bulk": 900.0}
"""Seconds between two looks at what the archive has restored, by tier."""
TELL_EVERY = 0.5

_BEGUN = {"RestoreAlreadyInProgress"}
_READABLE = {"InvalidObjectState", "ObjectAlreadyInActiveTierError"}


@dataclass(slots=True)
class RestoreProgress:
    """How far a restore has come, in mails."""

    wanted: int = 0
    asked: int = 0
    readable: int = 0
    delivered: int = 0
    failed: int = 0


class Restore:
    """One restore. `sleep` takes seconds."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        bucket: Bucket,
        client: S3Client,
        deliver_due: Callable[[], Awaitable[None]],
        events: Events,
        *,
        watch: Callable[[RestoreProgress], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`deliver_due` delivers what is due; it is awaited while holding the courier's lock."""
        self.progress = RestoreProgress()
        self._deliver_due = deliver_due
        self._state_dir = settings.state_dir
        self._ledger = ledger
        self._bucket = bucket
        self._client = client
        self._events = events
        self._watch = watch
        self._sleep = sleep
        self._due: list[str] = []
        self.sealed: SealedRestore | None = None
        """Opens sealed mail. Without it, sealed mail is not brought back."""
        self._lost = 0
        """Sealed mails that could not be opened."""
        self._sealed_keys: dict[str, str] = {}
        """Keys of the sealed objects of mails that were ordered from an archive, by mail id."""

    async def run(self, found: Sequence[Difference], tier: str, days: int) -> RestoreProgress:
        """Bring back the mails in `found` and what was ordered before; wait until they are at home.

        Archived ones stay readable for `days`. Safe to interrupt. Raises PostamtError if S3 or the
        ledger refuses altogether.
        """
        restores = self._ledger.restores
        locked = {d.mail for d in found if d.locked}
        sealed = {d.mail: d for d in found if d.sealed_key}
        wanted = wanted_mails(found)
        self.progress.wanted = len(wanted)
        self._sealed_keys = {m: d.sealed_key for m, d in sealed.items()}
        await asyncio.to_thread(restores.order, [w for w in wanted if w.mail in locked], tier)
        ready = [w for w in wanted if w.mail not in locked]
        await self._make_due([w for w in ready if w.mail not in sealed])
        await self._open([(w, sealed[w.mail].key) for w in ready if w.mail in sealed])
        orders = await asyncio.to_thread(restores.orders)
        self.progress.wanted += len({o.mail for o in orders} - {w.mail for w in wanted})
        await self._find_sealed(orders)
        await self._request(orders, days)
        await self._deliver()
        while orders := await asyncio.to_thread(restores.orders):
            await self._look(orders)
            await self._deliver()
            if await asyncio.to_thread(restores.orders):
                await self._sleep(min(LOOK_EVERY[order.tier] for order in orders))
        await self._until_at_home()
        return self.progress

    async def _find_sealed(self, orders: Sequence[Order]) -> None:
        """Find out which orders of an earlier run are for sealed mail."""
        if self.sealed is None:
            return
        for order in orders:
            if order.mail not in self._sealed_keys and (
                entry := await self.sealed.find_alone(order.key)
            ):
                self._sealed_keys[order.mail] = entry.sealed_key

    async def _request(self, orders: Sequence[Order], days: int) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(order: Order) -> None:
            async with gate:
                if not order.requested:
                    await asyncio.to_thread(self._ask, order, days)
                self.progress.asked += 1
                self._tell()

        async with asyncio.TaskGroup() as tasks:
            for order in orders:
                tasks.create_task(ask(order))

    async def _open(self, mails: Sequence[tuple[Wanted, str]]) -> int:
        """Bring back sealed mail that can be read; return how many could not be opened."""
        if not mails or self.sealed is None:
            return 0
        found = []
        for wanted, key in mails:
            entry = await self.sealed.find(key)
            if entry is None:
                reason = "its sealed object is gone"
                self._events.restore_failed(wanted.mail, reason)
            else:
                found.append(SealedMail(wanted, entry))
        failed = len(mails) - len(found)
        failed += await self.sealed.run(found, self._make_due, self._these_too)
        self._lost += failed
        self._tell()
        return failed

    async def _these_too(self, mails: Collection[str]) -> None:
        """Wait until what is due is at home, with these mails, which an interrupted restore has
        made due."""
        self._due += mails
        self.progress.wanted += len(mails)
        await self._until_at_home()

    def _ask(self, order: Order, days: int) -> None:
        request: dict[str, Any] = {"GlacierJobParameters": {"Tier": order.tier}, "Days": days}
        try:
            self._client.restore_object(
                Bucket=self._bucket.name,
                Key=self._sealed_keys.get(order.mail, order.key),
                RestoreRequest=request,  # type: ignore[arg-type]
            )
        except Exception as error:
            code = code_of(error) if isinstance(error, ClientError) else ""
            if code == "NoSuchKey":
                self._ledger.restores.give_up(order.mail)
                self.progress.failed += 1
                return
            if code not in _BEGUN | _READABLE:
                raise _refusal(error, order.key) from error
        self._ledger.restores.requested(order.mail)

    async def _look(self, orders: Sequence[Order]) -> None:
        """Make due what can be read by now, in the order in which S3 was asked."""
        unready = 0
        for order in orders:
            if unready == UNREADY:
                return
            key = self._sealed_keys.get(order.mail, order.key)
            try:
                async with self._bucket.fetch(key):
                    unready = 0
            except ObjectArchivedError:
                unready += 1
                continue
            except (ObjectGoneError, AccessDeniedError) as error:
                self._events.restore_failed(order.mail, str(error))
                await asyncio.to_thread(self._ledger.restores.give_up, order.mail)
                self.progress.failed += 1
                continue
            wanted = Wanted(order.mail, order.mailboxes)
            if key == order.key:
                await self._make_due([wanted])
            elif await self._open([(wanted, order.key)]):
                await asyncio.to_thread(self._ledger.restores.give_up, order.mail)

    async def _make_due(self, wanted: Sequence[Wanted]) -> None:
        if wanted:
            await asyncio.to_thread(self._ledger.restores.deliver, wanted)
            self._due += [w.mail for w in wanted]
            self.progress.readable += len(wanted)
            self._tell()

    async def _deliver(self) -> None:
        """Deliver what is due, unless the daemon does. Whatever else is due is delivered too."""
        if not self._due or CourierLock.holder(self._state_dir):
            await self._count()
            return
        with suppress(TryLaterError), CourierLock(self._state_dir, "restore"):
            await self._deliver_due()
        await self._count()

    async def _until_at_home(self) -> None:
        while await self._count():
            if not CourierLock.holder(self._state_dir):
                await self._deliver()
            await self._sleep(TELL_EVERY)

    async def _count(self) -> int:
        waiting, failing = await asyncio.to_thread(self._ledger.restores.still_waiting, self._due)
        self.progress.delivered = len(self._due) - waiting - failing
        self.progress.failed = max(self.progress.failed, failing + self._lost)
        self._tell()
        return waiting

    def _tell(self) -> None:
        self._watch(self.progress)


def wanted_mails(found: Iterable[Difference]) -> list[Wanted]:
    """Return the mails to bring back, each with the mailboxes that have lost their copies."""
    lost: dict[str, list[str]] = {}
    for d in found:
        if d.kind in RESTORABLE:
            lost.setdefault(d.mail, []).extend([d.mailbox] if d.mailbox else [])
    return [Wanted(mail, tuple(mailboxes)) for mail, mailboxes in lost.items()]


def _refusal(error: Exception, key: str) -> PostamtError:
    if cause_of(error) is ErrorCause.FORBIDDEN:
        return ForbiddenError(
            f"We may not restore {printable(key)} from its archive.",
            "Allow s3:RestoreObject (restore = true under [stack], then bootstrap apply), or "
            "restore it in the S3 console: the next reconcile will deliver it.",
        )
    return refusal("s3:RestoreObject", error, asker=Asker.ADMINISTRATOR)  # a person waits
