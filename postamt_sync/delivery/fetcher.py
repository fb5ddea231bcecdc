"""Picking up one mail: fetch it, find out who gets it, and write a large one while it comes.

A large body streams into `tmp/` of the first mailbox and of the others beside it; only the header
block is held in memory, because it may have to say where the body goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from postamt_sync.bucket import Fetched
from postamt_sync.delivery.addressing import concerned, has_copy, route
from postamt_sync.delivery.asking import Asking
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.draft_writer import DraftWriter
from postamt_sync.delivery.filename import stem_of
from postamt_sync.delivery.mailbox_threads import HangingDiskError
from postamt_sync.delivery.pending_mail import (
    FetchedMail,
    MailboxTarget,
    RoutedMail,
    StepObserver,
    WrittenMail,
)
from postamt_sync.delivery.places import LeftBehindError, Places
from postamt_sync.errors import PostamtError
from postamt_sync.ledger import DeliveryState, Task
from postamt_sync.mail.header_block import LONGEST_HEAD, header_block

SMALL = 1 << 20
"""A mail of at most so many bytes is handed to the publisher whole, which writes many at once."""
IN_MEMORY = 16 << 20
"""Bytes of all mails that are held whole; what comes beyond is written while it comes."""

_DONE = {DeliveryState.DELIVERED, DeliveryState.ABSENT}


def is_long(task: Task) -> bool:
    """Tell whether a mail is known to take a long one's place."""
    return (task.size or 0) > SMALL


Heard = Callable[[str, float, bytes], None]
"""Is given mail id, S3's time (since 1970) and the beginning of each mail that is fetched."""


def nobody_listens(mail: str, stored_at: float, head: bytes) -> None:
    """For those who want to deliver only."""


class AllFailedError(PostamtError):
    """No mailbox could take its copy; `mailboxes` says why, each."""

    def __init__(self, mailboxes: dict[str, PostamtError]) -> None:
        first = next(iter(mailboxes.values()))
        super().__init__(first.problem, first.hint)
        self.mailboxes = mailboxes


@dataclass(frozen=True, slots=True)
class KnownContent:
    """Every mailbox concerned has this content already, or it is absent for it."""

    etag: str
    size: int
    last_modified: float
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoEnvelope:
    """Nothing names a recipient yet; its envelope may still come for so many seconds."""

    grace_left: float


class NoMail:
    """The object turned out to be a folder marker."""


class Fetcher:
    """Turns an object that is being read into a mail that can be published."""

    def __init__(
        self,
        places: Places,
        clock: Callable[[], float],
        observer: StepObserver,
        heard: Heard = nobody_listens,
    ) -> None:
        """`clock` is monotonic."""
        self._blocking = places.blocking
        self._clock = clock
        self._observer = observer
        self._heard = heard
        self._held: dict[str, int] = {}
        """Bytes by mail id."""
        self._held_bytes = 0

    def let_go(self, task: Task) -> None:
        """Hold a mail no longer: it has come to its end."""
        self._held_bytes -= self._held.pop(task.mail, 0)

    def _hold(self, task: Task, size: int) -> bool:
        """Tell whether a mail is to be held whole; if so, it counts from now on."""
        self.let_go(task)
        if size > SMALL or self._held_bytes + size > IN_MEMORY:
            return False
        self._held[task.mail] = size
        self._held_bytes += size
        return True

    async def collect(
        self,
        task: Task,
        destinations: Destinations,
        fetched: Fetched,
        unpublished: Mapping[str, PostamtError],
    ) -> FetchedMail | WrittenMail | KnownContent | NoEnvelope | NoMail:
        """Read the object to its end and return the mail, or what else it is.

        A mail of up to SMALL bytes comes as a whole and counts as held until `let_go`; a larger one
        is written while it comes, and its drafts' bytes are synced. The mailboxes in `unpublished`
        have an earlier copy to finish first and are left out.

        Raises AllFailedError, UndeliverableError, or whatever reading the object raises; no draft
        is left then. Cancelling is safe at any time.
        """
        if task.key.endswith("/") and fetched.size == 0:
            return NoMail()
        async with aclosing(fetched.chunks()) as chunks:
            head = await _read_head(chunks)
            if not fetched.client_encrypted:
                self._heard(task.mail, fetched.last_modified, head)
            mail = route(task, destinations, fetched, head, unpublished, self._clock)
            if mail is None:
                return NoEnvelope(destinations.grace_left(fetched.last_modified))
            mail = _without_late(mail)
            if not mail.addressees:
                return _nobody_left(mail, mail.owed)
            result: FetchedMail | WrittenMail | KnownContent
            if self._hold(task, fetched.size):
                body = b"".join([head, *[chunk async for chunk in chunks]])
                result = _whole(mail, body, fetched.sha256)
            else:
                result = await self._write(mail, head, fetched, chunks)
            if fetched.client_encrypted:  # now that its end has proven it
                self._heard(task.mail, fetched.last_modified, head)
            return result

    async def _write(
        self, mail: RoutedMail, head: bytes, fetched: Fetched, chunks: AsyncIterator[bytes]
    ) -> WrittenMail | KnownContent:
        # Alone it has nobody to wait for it, and a disk that is merely slow must come to an end.
        several = len(mail.addressees) > 1
        drafts = DraftWriter(mail, self._observer, Asking(hurried=several, leaves=True))
        try:
            await self._blocking(drafts.open, head)
            async for chunk in chunks:
                await self._blocking(drafts.write, [chunk])
                if not drafts.has_copies:
                    return _nobody_left(mail, drafts.failed)
            sha256 = fetched.sha256
            known = {a.mailbox for a in _having(mail, sha256)}
            written = await self._blocking(drafts.finish, sha256, known)
        except LeftBehindError:
            raise  # the next attempt writes over what is left
        except BaseException:
            await asyncio.shield(self._blocking(drafts.discard))
            raise
        return written if written.copies else _nobody_left(mail, written.failed)


def _without_late(mail: RoutedMail) -> RoutedMail:
    """Begin nothing for a mailbox whose disk has not answered yet."""
    late: dict[str, PostamtError] = {}
    for addressee in mail.addressees:
        why = mail.mailboxes.late(addressee.mailbox, by_us=addressee.by_us)
        if why is not None:
            late[addressee.mailbox] = HangingDiskError(why.problem, why.hint)
    left = tuple(a for a in mail.addressees if a.mailbox not in late)
    return replace(mail, addressees=left, owed={**mail.owed, **late}) if late else mail


def known_without_fetching(task: Task, destinations: Destinations) -> KnownContent | None:
    """Tell, where the ledger alone can, that no mailbox of the envelope is owed this very object.

    The usual case of a receipt that comes after the mail was found and delivered: no GET for that.
    """
    if not task.recipients or task.etag is None or task.last_modified is None or task.size is None:
        return None
    if any(copy.state not in _DONE for copy in task.deliveries):
        return None  # a copy may be owed to a mailbox that the mail itself names, not the receipt
    stem = stem_of(task.mail, task.etag, task.last_modified, task.edition)
    mailboxes = concerned(task, destinations, destinations.routes.mailboxes(task.recipients))
    lacking = tuple(m for m in mailboxes if not has_copy(task, m, stem=stem))
    if all(task.is_absent_for(m, task.last_modified) for m in lacking):
        return KnownContent(task.etag, task.size, task.last_modified, lacking)
    return None


def _whole(mail: RoutedMail, body: bytes, sha256: str) -> FetchedMail | KnownContent:
    having = _having(mail, sha256)
    if not having:
        return FetchedMail(mail, body, sha256)
    left = tuple(a for a in mail.addressees if a not in having)
    if not left:
        return _nobody_left(mail, mail.owed)
    return FetchedMail(replace(mail, addressees=left), body, sha256)


def _having(mail: RoutedMail, sha256: str) -> list[MailboxTarget]:
    """Return the addressees that were given this content under another name."""
    return [a for a in mail.addressees if has_copy(mail.task, a.mailbox, sha256=sha256)]


def _nobody_left(mail: RoutedMail, failed: Mapping[str, PostamtError]) -> KnownContent:
    """Say why no copy is to be published: none is needed, or no mailbox could take it."""
    if why := {**mail.unpublished, **failed}:
        raise AllFailedError(why)
    return KnownContent(mail.etag, mail.size, mail.last_modified, mail.absent)


async def _read_head(chunks: AsyncIterator[bytes]) -> bytes:
    head = b""
    async for chunk in chunks:
        head = head + chunk if head else chunk
        if len(head) >= LONGEST_HEAD or header_block(head) is not None:
            break
    return head
