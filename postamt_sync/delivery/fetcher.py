"""Picking up one mail: fetch it, find out who gets it, and write a large one while it comes.

A large body streams into `tmp/` of the first mailbox and of the others beside it; only the header
block is held in memory, because it may have to say where the body goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeVar

from postamt_sync.bucket import Fetched
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.filename import first_stem, make_stem
from postamt_sync.delivery.pending_mail import (
    DraftWriter,
    FetchedMail,
    MailboxTarget,
    RoutedMail,
    StepObserver,
    WrittenMail,
)
from postamt_sync.errors import PostamtError, UndeliverableError
from postamt_sync.ledger import DeliveryState, Task
from postamt_sync.mail.delivered_to import delivered_to
from postamt_sync.mail.headers import addresses, header_block, ses_headers
from postamt_sync.mail.routing import (
    Decision,
    decide,
    folder_of_tag,
    merge_verdicts,
)

LONGEST_HEAD = 1 << 20
"""Bytes of a header block that are looked at; what lies beyond is delivered all the same."""

SMALL = 64 << 10
"""A mail of at most so many bytes is handed to the publisher whole, which writes many at once."""

_DONE = {DeliveryState.DELIVERED, DeliveryState.ABSENT}

_T = TypeVar("_T")


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
        threads: Executor,
        clock: Callable[[], float],
        observer: StepObserver,
        heard: Heard = nobody_listens,
    ) -> None:
        """`clock` is monotonic."""
        self._threads = threads
        self._clock = clock
        self._observer = observer
        self._heard = heard

    async def collect(
        self,
        task: Task,
        destinations: Destinations,
        fetched: Fetched,
        unpublished: Mapping[str, PostamtError],
    ) -> FetchedMail | WrittenMail | KnownContent | NoEnvelope | NoMail:
        """Read the object to its end and return the mail, or what else it is.

        A mail of up to SMALL bytes comes as a whole; a larger one is written while it comes, and
        its drafts' bytes are synced. The mailboxes in `unpublished` have an earlier copy to finish
        first and are left out.

        Raises AllFailedError, UndeliverableError, or whatever reading the object raises; no draft
        is left then. Cancelling is safe at any time.
        """
        if fetched.client_encrypted:
            raise UndeliverableError(
                "The object is encrypted on SES's side with a KMS key (x-amz-key-v2).",
                "Take the KMS key out of the S3 action of the receipt rule; "
                "the bucket's own encryption (SSE) is fine.",
            )
        if task.key.endswith("/") and fetched.size == 0:
            return NoMail()
        async with aclosing(fetched.chunks()) as chunks:
            head = await _read_head(chunks)
            self._heard(task.mail, fetched.last_modified, head)
            mail = self._route(task, destinations, fetched, head, unpublished)
            if mail is None:
                return NoEnvelope(destinations.grace_left(fetched.last_modified))
            if not mail.addressees:
                return _nobody_left(mail, mail.owed)
            if fetched.size <= SMALL:
                body = b"".join([head, *[chunk async for chunk in chunks]])
                return _whole(mail, body, fetched.sha256)
            return await self._write(mail, head, fetched, chunks)

    async def _write(
        self, mail: RoutedMail, head: bytes, fetched: Fetched, chunks: AsyncIterator[bytes]
    ) -> WrittenMail | KnownContent:
        drafts = DraftWriter(mail, self._observer)
        try:
            await self._in_thread(drafts.open, head)
            async for chunk in chunks:
                await self._in_thread(drafts.write, [chunk])
                if not drafts.has_copies:
                    return _nobody_left(mail, drafts.failed)
            sha256 = fetched.sha256
            known = {a.mailbox for a in _having(mail, sha256)}
            written = await self._in_thread(drafts.finish, sha256, known)
        except BaseException:
            await asyncio.shield(self._in_thread(drafts.discard))
            raise
        return written if written.copies else _nobody_left(mail, written.failed)

    def _route(
        self,
        task: Task,
        destinations: Destinations,
        fetched: Fetched,
        head: bytes,
        unpublished: Mapping[str, PostamtError],
    ) -> RoutedMail | None:
        """Say who is to be given a copy; None: nobody knows yet."""
        ses = ses_headers(head, task.key)
        verdicts = merge_verdicts(task.verdicts, ses.verdicts if ses else None)
        # With an index the grace is over when it has been asked, or could not be for too long.
        grace_left = destinations.grace_left(fetched.last_modified)
        grace_over = task.grace_started or (grace_left == 0 and not destinations.has_index)
        decision = decide(
            destinations.routes,
            receipt=task.recipients,
            received=ses.recipient if ses else None,
            header_addresses=addresses(head) if grace_over and not task.recipients else (),
            grace_over=grace_over,
        )
        if decision is None:
            return None
        stem = make_stem(task.bucket, task.key, fetched.etag, fetched.last_modified, task.edition)
        concerned = _concerned(task, destinations, decision.mailboxes)
        lacking = [m for m in concerned if not _has(task, m, stem=stem)]
        absent = [m for m in lacking if task.is_absent_for(m, fetched.last_modified)]
        due = [m for m in lacking if m not in absent]
        ask_index = destinations.has_index and not task.grace_started
        return RoutedMail(
            task=task,
            stem=stem,
            etag=fetched.etag,
            size=fetched.size,
            last_modified=fetched.last_modified,
            received_at=(ses.received_at if ses else None) or fetched.last_modified,
            evidence=decision.evidence,
            mailboxes=destinations.mailboxes,
            addressees=tuple(
                _addressee(destinations, decision, m) for m in due if m not in unpublished
            ),
            folder=destinations.folder(verdicts),
            absent=tuple(absent),
            unpublished=dict(unpublished),
            owed={
                m: unpublished[m]
                for m in due
                if m in unpublished and not _is_prepared(task, m, stem)
            },
            ask_at=self._clock() + grace_left if ask_index else None,
        )

    async def _in_thread(self, call: Callable[..., _T], *args: object) -> _T:
        """Run a blocking call; also when cancelled wait for it: two threads never share a file."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, call, *args)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise


def known_without_fetching(task: Task, destinations: Destinations) -> KnownContent | None:
    """Tell, where the ledger alone can, that no mailbox of the envelope is owed this very object.

    The usual case of a receipt that comes after the mail was found and delivered: no GET for that.
    """
    if not task.recipients or task.etag is None or task.last_modified is None or task.size is None:
        return None
    if any(copy.state not in _DONE for copy in task.deliveries):
        return None  # a copy may be owed to a mailbox that the mail itself names, not the receipt
    stem = make_stem(task.bucket, task.key, task.etag, task.last_modified, task.edition)
    mailboxes = _concerned(task, destinations, destinations.routes.mailboxes(task.recipients))
    lacking = tuple(m for m in mailboxes if not _has(task, m, stem=stem))
    if all(task.is_absent_for(m, task.last_modified) for m in lacking):
        return KnownContent(task.etag, task.size, task.last_modified, lacking)
    return None


def _concerned(task: Task, destinations: Destinations, named: Sequence[str]) -> list[str]:
    """Return the mailboxes that the envelope names, as far as it is known or was before a loss."""
    known = destinations.mailboxes
    return [*named, *(m for m in task.owed if m in known and m not in named)]


def _addressee(destinations: Destinations, decision: Decision, mailbox: str) -> MailboxTarget:
    routes, recipients = destinations.routes, decision.recipients
    folder, extra_headers = "", b""
    if mailbox in destinations.tagged:
        folder = folder_of_tag(routes.tag(recipients, mailbox))
    if destinations.delivered_to:
        extra_headers = delivered_to(routes.addressed(recipients, mailbox))
    return MailboxTarget(mailbox, folder, extra_headers)


def _whole(mail: RoutedMail, body: bytes, sha256: str) -> FetchedMail | KnownContent:
    having = _having(mail, sha256)
    left = tuple(a for a in mail.addressees if a not in having)
    if not left:
        return _nobody_left(mail, mail.owed)
    return FetchedMail(replace(mail, addressees=left), body, sha256)


def _having(mail: RoutedMail, sha256: str) -> list[MailboxTarget]:
    """Return the addressees that were given this content under another name."""
    return [a for a in mail.addressees if _has(mail.task, a.mailbox, sha256=sha256)]


def _nobody_left(mail: RoutedMail, failed: Mapping[str, PostamtError]) -> KnownContent:
    """Say why no copy is to be published: none is needed, or no mailbox could take it."""
    if why := {**mail.unpublished, **failed}:
        raise AllFailedError(why)
    return KnownContent(mail.etag, mail.size, mail.last_modified, mail.absent)


async def _read_head(chunks: AsyncIterator[bytes]) -> bytes:
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= LONGEST_HEAD or header_block(head) is not None:
            break
    return head


def _is_prepared(task: Task, mailbox: str, stem: str) -> bool:
    return any(
        copy.mailbox == mailbox and copy.stem == stem and copy.state is DeliveryState.PREPARED
        for copy in task.deliveries
    )


def _has(task: Task, mailbox: str, *, stem: str | None = None, sha256: str | None = None) -> bool:
    """Tell whether a mailbox was given this file, or this content, in the current edition."""
    for copy in task.deliveries:
        if copy.mailbox != mailbox or copy.state is not DeliveryState.DELIVERED:
            continue
        if copy.edition != task.edition:
            continue
        same_object = stem is not None and first_stem(copy.stem) == first_stem(stem)
        if same_object or (sha256 is not None and copy.sha256 == sha256):
            return True
    return False
