"""Looks for mail in the bucket: what became of known objects, and what was never delivered.

The listing names the objects. Of those that the ledger does not know, only the beginning is read,
newest first, which costs one GET each. Nothing is written anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from postamt_sync.bucket import (
    Bucket,
    ObjectArchivedError,
    ObjectGoneError,
    SealedPlace,
    mail_pages,
)
from postamt_sync.errors import PostamtError
from postamt_sync.ledger.remembered_headers import MailHeader
from postamt_sync.ledger.tracks import Word
from postamt_sync.mail.arrival import is_no_mail, mail_id
from postamt_sync.mail.header_block import header_block
from postamt_sync.status.mail_header import LONGEST_HEAD, header_of_head
from postamt_sync.status.maildir_search import fits

MOST = 1_000
"""The maximum number of objects whose beginning is read; these are the newest."""
AT_ONCE = 16
_SEALED = "it lies there sealed, and only its owner's key opens it: postamt-sync restore"


@dataclass(frozen=True, slots=True)
class BucketObject:
    """One object as it is in the bucket now; None if the bucket did not say.

    `problem` is why it cannot be read, "" if it can.
    """

    key: str
    size: int | None = None
    stored_at: float | None = None
    storage_class: str = ""
    problem: str = ""


@dataclass(slots=True)
class BucketFindings:
    """`objects` are those that were asked for, by mail ID; `unknown` are others that match."""

    objects: dict[str, BucketObject] = field(default_factory=dict)
    unknown: list[tuple[MailHeader, BucketObject]] = field(default_factory=list)
    looked_at: int = 0
    unread: int = 0
    """The number of unknown objects that were not read because there are too many."""


class BucketSearch:
    """Searches one bucket, which has been entered. `known` tells which mail IDs the ledger has.

    `prefix` is where mail is kept for good. `recent_prefix` has the mail of the last two weeks;
    if there is one, it is listed instead.
    """

    def __init__(
        self,
        bucket: Bucket,
        prefix: str,
        recent_prefix: str,
        known: Callable[[Iterable[str]], set[str]],
        sealed: SealedPlace | None = None,
    ) -> None:
        """`sealed` is where mail is of which only the sealed object is left."""
        self._bucket = bucket
        self._prefix = prefix
        self._recent_prefix = recent_prefix
        self._known = known
        self._sealed = sealed or SealedPlace(prefix, "")
        self._places = asyncio.Semaphore(AT_ONCE)

    async def search(
        self, words: Sequence[Word], asked: Iterable[tuple[str, str]], since: float | None = None
    ) -> BucketFindings:
        """Look for mail with these words, and for the objects of `asked` (mail id, key).

        Without `since` only recent mail is listed, if that is kept apart. Raises PostamtError if
        the bucket cannot be listed.
        """
        findings = BucketFindings()
        wanted = dict(asked)
        looks = await asyncio.gather(*(self._look(key) for key in wanted.values()))
        findings.objects = dict(zip(wanted, looks, strict=True))
        unknown = await self._unknown(findings, since)
        unknown.sort(key=lambda each: each.stored_at or 0.0, reverse=True)
        findings.unread = max(0, len(unknown) - MOST)
        heads = await asyncio.gather(*(self._header(each) for each in unknown[:MOST]))
        findings.unknown = [
            (header, each)
            for header, each in zip(heads, unknown, strict=False)
            if fits(words, header, each.key, header.mail)
        ]
        return findings

    async def _unknown(self, findings: BucketFindings, since: float | None) -> list[BucketObject]:
        listed = self._recent_prefix if self._recent_prefix and since is None else self._prefix
        unknown = []
        place = self._sealed if listed == self._prefix else SealedPlace(listed, "")
        async for page in mail_pages(self._bucket, place):
            objects = [
                BucketObject(
                    self._prefix + entry.key.removeprefix(listed),
                    entry.size,
                    entry.modified_at,
                    entry.storage_class,
                    _SEALED if entry.sealed_key else "",
                )
                for entry in page
                if not is_no_mail(entry.key, entry.size)
            ]
            findings.looked_at += len(objects)
            ids = {mail_id(self._bucket.name, each.key): each for each in objects}
            known = await asyncio.to_thread(self._known, ids)
            unknown += [
                each
                for mail, each in ids.items()
                if mail not in known and (since is None or (each.stored_at or 0.0) >= since)
            ]
        return unknown

    async def _look(self, key: str) -> BucketObject:
        try:
            async with self._places, self._bucket.fetch(key) as fetched:
                return BucketObject(key, fetched.size, fetched.last_modified, fetched.storage_class)
        except ObjectArchivedError as error:
            return BucketObject(key, storage_class=error.storage_class, problem=error.problem)
        except ObjectGoneError as error:
            return await self._look_sealed(key) or BucketObject(key, problem=error.problem)
        except PostamtError as error:
            return BucketObject(key, problem=str(error))

    async def _look_sealed(self, key: str) -> BucketObject | None:
        with suppress(PostamtError):
            for entry in await self._sealed.sealed_of(self._bucket, key):
                facts = entry.size, entry.modified_at, entry.storage_class
                return BucketObject(key, *facts, problem=_SEALED)
        return None

    async def _header(self, found: BucketObject) -> MailHeader:
        """Return the header of an object; one without text if it cannot be read."""
        mail, head = mail_id(self._bucket.name, found.key), b""
        try:
            if found.problem:
                return header_of_head(mail, found.stored_at or 0.0, head)
            async with (
                self._places,
                self._bucket.fetch(found.key) as fetched,
                aclosing(fetched.chunks()) as chunks,
            ):
                async for chunk in chunks:
                    head += chunk
                    if len(head) >= LONGEST_HEAD or header_block(head) is not None:
                        break
        except PostamtError:
            head = b""
        return header_of_head(mail, found.stored_at or 0.0, head)
