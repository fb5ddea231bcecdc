"""Bringing back sealed mail: its owner opens it here, and the courier delivers it.

A batch is downloaded, opened, and put where the courier finds it, in this process or in the running
daemon. Then it is made due, and the next batch waits until it is at home. What could not be
delivered of a batch stays there for the next attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from postamt_sync.bucket import Bucket, Listed, OpenedMail, OpenedPlace, SealedPlace
from postamt_sync.delivery.disk import disk_trouble
from postamt_sync.errors import TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.restores import Wanted
from postamt_sync.quantities import count
from postamt_sync.recovery.gpg import Gpg
from postamt_sync.recovery.unsealing import BYTES_AT_ONCE, Unsealing, batches

MOST_OPENED = 4 * BYTES_AT_ONCE
"""The most bytes of opened mail that may wait to be delivered."""


@dataclass(frozen=True, slots=True)
class SealedMail:
    """A mail to bring back, and its sealed object."""

    wanted: Wanted
    entry: Listed


class SealedRestore:
    """Opens sealed mail for a restore. `place` is where the courier's `Bucket` looks for it."""

    def __init__(
        self,
        ledger: Ledger,
        bucket: Bucket,
        sealed: SealedPlace,
        place: OpenedPlace,
        gpg: Gpg,
        events: Events,
    ) -> None:
        self._ledger = ledger
        self._bucket = bucket
        self._sealed = sealed
        self._place = place
        self._unsealing = Unsealing(bucket, gpg, place.directory)
        self._events = events

    async def find(self, key: str) -> Listed | None:
        """Return the newest sealed object for a plain key, if any; raises what listing raises."""
        found = await self._sealed.sealed_of(self._bucket, key)
        return found[0] if found else None

    async def find_alone(self, key: str) -> Listed | None:
        """Return it only if the plain object is gone."""
        entry = await self.find(key)
        if entry is not None:
            async for page in self._bucket.pages(key):
                return None if any(each.key == key for each in page) else entry
        return entry

    async def run(
        self,
        mails: Sequence[SealedMail],
        made_due: Callable[[Sequence[Wanted]], Awaitable[None]],
        at_home: Callable[[Collection[str]], Awaitable[None]],
    ) -> int:
        """Bring these mails back, batch by batch; return how many could not be opened.

        `made_due` makes opened mails due. `at_home` waits until what is due was delivered or cannot
        be, including the mails whose ids it gets, which are due already. Raises what concerns all
        of them: gpg, the key, S3, the disk.
        """
        failed = 0
        await asyncio.to_thread(self._begin)
        if left := await asyncio.to_thread(self._place.mails):
            await at_home(left)  # from an interrupted restore
            await asyncio.to_thread(self._clear)
        opened = await asyncio.to_thread(self._place.mails)
        if again := [mail.wanted for mail in mails if mail.wanted.mail in opened]:
            await made_due(again)
        closed = [mail for mail in mails if mail.wanted.mail not in opened]
        by_key = {mail.entry.sealed_key: mail for mail in closed}
        for batch in batches([mail.entry for mail in closed]):
            await asyncio.to_thread(self._refuse_too_many)
            failed += await self._bring(batch, by_key, made_due, at_home)
        return failed

    async def _bring(
        self,
        batch: Sequence[Listed],
        by_key: Mapping[str, SealedMail],
        made_due: Callable[[Sequence[Wanted]], Awaitable[None]],
        at_home: Callable[[Collection[str]], Awaitable[None]],
    ) -> int:
        unsealed = await self._unsealing.open(batch)
        for key, error in unsealed.failed.items():
            self._events.restore_failed(by_key[key].wanted.mail, str(error))
        ready = []
        for plain in unsealed.opened:
            mail = by_key[plain.sealed.sealed_key]
            entry = plain.sealed
            opened = OpenedMail(mail.wanted.mail, int(entry.modified_at), entry.etag, plain.sha256)
            await asyncio.to_thread(self._place.put, plain.path, opened)
            ready.append(mail.wanted)
        try:
            await made_due(ready)
            await at_home(())
        finally:
            await asyncio.to_thread(self._clear)
        return len(unsealed.failed)

    def _begin(self) -> None:
        try:
            self._place.make()
            self._place.sweep()
        except OSError as error:
            raise disk_trouble(error, self._place.directory) from error
        self._clear()

    def _refuse_too_many(self) -> None:
        """Refuse to open more while much opened mail cannot be delivered: it is not encrypted."""
        if self._place.size() > MOST_OPENED:
            left = count(len(self._place.mails()), "opened mail")
            raise TryLaterError(
                f"{left} could not be delivered yet and would take too much of the disk.",
                "See why mail waits, then restore again: postamt-sync status",
            )

    def _clear(self) -> None:
        """Remove the mails that are delivered by now, or are not to be any more."""
        waiting = self._ledger.restores.waiting_of(self._place.mails())
        self._place.forget(self._place.mails() - waiting)
