"""Picking up one mail: fetch it, find out who gets it, and write a draft for each of them.

The body streams into `tmp/` of the first mailbox and of the others beside it; only the header block
is held in memory, because it may have to say where the body goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeVar

from postamt_sync.bucket import Fetched
from postamt_sync.delivery.destinations import Destinations
from postamt_sync.delivery.filename import first_stem, make_stem
from postamt_sync.delivery.pending_mail import PendingMail
from postamt_sync.delivery.publisher import Publisher
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
"""A mail of at most so many bytes is handed to the group whole: one thread writes many of them."""

_DONE = {DeliveryState.DELIVERED, DeliveryState.ABSENT}

_T = TypeVar("_T")


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
    """Nothing names a recipient yet; `last_modified` tells from when to wait."""

    last_modified: float


class NoMail:
    """The object turned out to be a folder marker."""


class Fetcher:
    """Turns a fetched object into drafts, ready for the group that publishes them."""

    def __init__(self, group: Publisher, threads: Executor) -> None:
        self._publisher = group
        self._threads = threads

    async def collect(
        self,
        task: Task,
        destinations: Destinations,
        fetched: Fetched,
        unpublished: Mapping[str, PostamtError],
    ) -> PendingMail | KnownContent | NoEnvelope | NoMail:
        """Read the object to its end and return its synced drafts, or what else it is.

        The mailboxes in `unpublished` have an earlier copy to finish first and are left out.

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
            decision, folder, received_at = self._route(task, destinations, fetched, head)
            if decision is None:
                return NoEnvelope(fetched.last_modified)
            stem = make_stem(
                task.bucket, task.key, fetched.etag, fetched.last_modified, task.edition
            )
            ready = PendingMail(
                task=task,
                stem=stem,
                etag=fetched.etag,
                size=fetched.size,
                last_modified=fetched.last_modified,
                received_at=received_at,
                evidence=decision.evidence,
                unpublished=dict(unpublished),
                mailboxes=destinations.mailboxes,
                folder=folder,
                tags=_tags(destinations, decision),
                extra_headers=_extra_headers(destinations, decision),
            )
            concerned = _concerned(task, destinations, decision.mailboxes)
            lacking = [m for m in concerned if not _has(task, m, stem=stem)]
            ready.absent = [m for m in lacking if task.is_absent_for(m, fetched.last_modified)]
            lacking = [m for m in lacking if m not in ready.absent]
            ready.addressees = [m for m in lacking if m not in unpublished]
            # Where the stuck copy is of another content, this one is still owed.
            owed = {
                m: unpublished[m]
                for m in lacking
                if m in unpublished and not _prepared(task, m, stem)
            }
            ready.failed.update(owed)
            if ready.addressees:
                await self._read(ready, head, fetched, chunks)
        if ready.copies or ready.addressees:
            return ready
        if ready.unpublished or ready.failed:
            raise AllFailedError(ready.unpublished | ready.failed)
        return KnownContent(fetched.etag, fetched.size, fetched.last_modified, tuple(ready.absent))

    async def _read(
        self, ready: PendingMail, head: bytes, fetched: Fetched, chunks: AsyncIterator[bytes]
    ) -> None:
        if fetched.size <= SMALL:
            ready.body = b"".join([head, *[chunk async for chunk in chunks]])
            ready.sha256 = fetched.sha256
            ready.addressees = [
                m for m in ready.addressees if not _has(ready.task, m, sha256=ready.sha256)
            ]
            return
        try:
            await self._in_thread(self._publisher.begin, ready, head)
            async for chunk in chunks:
                await self._in_thread(self._publisher.write, ready, [chunk])
                if not ready.copies:
                    return
            ready.sha256 = fetched.sha256
            await self._in_thread(self._finish, ready)
        except BaseException:
            await asyncio.shield(self._in_thread(ready.discard))
            raise

    def _finish(self, ready: PendingMail) -> None:
        known = [c for c in ready.copies if _has(ready.task, c.mailbox, sha256=ready.sha256)]
        for copy in known:
            copy.draft.discard()
            ready.copies.remove(copy)
        self._publisher.finish(ready)

    def _route(
        self, task: Task, destinations: Destinations, fetched: Fetched, head: bytes
    ) -> tuple[Decision | None, str, float]:
        ses = ses_headers(head, task.key)
        # With an index the grace is over when it has been asked, or could not be for too long.
        left = 1.0 if destinations.has_index else destinations.grace_left(fetched.last_modified)
        grace_over = task.grace_started or left <= 0
        decision = decide(
            destinations.routes,
            receipt=task.recipients,
            received=ses.recipient if ses else None,
            header_addresses=addresses(head) if grace_over and not task.recipients else (),
            grace_over=grace_over,
        )
        verdicts = merge_verdicts(task.verdicts, ses.verdicts if ses else None)
        received_at = (ses.received_at if ses else None) or fetched.last_modified
        return decision, destinations.folder(verdicts), received_at

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


def _tags(destinations: Destinations, decision: Decision) -> dict[str, str]:
    """Return for mailboxes in which tags mean folders the folder that is meant, foreign text."""
    return {
        name: folder
        for name in decision.mailboxes
        if name in destinations.tagged
        and (folder := folder_of_tag(destinations.routes.tag(decision.recipients, name)))
    }


def _extra_headers(destinations: Destinations, decision: Decision) -> dict[str, bytes]:
    if not destinations.delivered_to:
        return {}
    recipients = decision.recipients
    return {
        m: delivered_to(destinations.routes.addressed(recipients, m)) for m in decision.mailboxes
    }


async def _read_head(chunks: AsyncIterator[bytes]) -> bytes:
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= LONGEST_HEAD or header_block(head) is not None:
            break
    return head


def _prepared(task: Task, mailbox: str, stem: str) -> bool:
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
