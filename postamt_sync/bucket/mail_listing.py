"""All mail below a prefix, in key order: plain objects, and those that only their sealed ones are
left of, which stand for them with the ETag, time and size that the plain object had.

The sealed names are kept on the disk, in a private database of SQLite: memory holds a page. A plain
object always goes before its sealed one, and of several sealed contents of one key only the newest
counts, as only the newest version of an object is listed.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge

from postamt_sync.bucket.bucket import Bucket
from postamt_sync.bucket.listing import PAGE_KEYS, Listed
from postamt_sync.bucket.responses import AccessDeniedError
from postamt_sync.mail.sealed_name import parse


@dataclass(frozen=True, slots=True)
class SealedPlace:
    """Where the sealed objects of the mail below `prefix` lie; `sealed_prefix` "" is nowhere.

    `expected`: mail is being sealed. Otherwise a place that we may not list has none; it is looked
    at all the same, since mail may have been sealed before, of which nobody here need know.
    """

    prefix: str
    sealed_prefix: str
    expected: bool = False

    @property
    def is_there(self) -> bool:
        """Whether there can be such a place: one that lies apart from the plain mail."""
        plain, sealed = self.prefix, self.sealed_prefix
        apart = not (plain.startswith(sealed) or sealed.startswith(plain))
        return bool(plain and sealed) and apart

    async def sealed_of(self, bucket: Bucket, key: str) -> list[Listed]:
        """Return the sealed objects that stand for a plain key, the newest first.

        Each bears the plain key; raises what listing the bucket raises.
        """
        if not self.is_there or not key.startswith(self.prefix):
            return []
        mail = key.removeprefix(self.prefix)
        found: list[Listed] = []
        try:
            async for page in bucket.pages(f"{self.sealed_prefix}{mail}/"):
                found += [e for each in page if (e := self.plain(each)) and e.key == key]
        except AccessDeniedError:
            if self.expected:
                raise
        return sorted(found, key=lambda each: each.last_modified, reverse=True)

    def plain_key(self, key: str) -> str:
        """Return the plain key that a sealed one stands for, any other as it is."""
        name = parse(key, self.sealed_prefix)
        return f"{self.prefix}{name.id}" if name is not None else key

    def plain(self, listed: Listed) -> Listed | None:
        """Return what a listed sealed object stands for; None if it is none."""
        name = parse(listed.key, self.sealed_prefix)
        if name is None:
            return None
        return replace(
            listed,
            key=f"{self.prefix}{name.id}",
            etag=name.etag,
            size=name.size,
            last_modified=f"{name.last_modified:%Y-%m-%dT%H:%M:%S.000Z}",
            sealed_key=listed.key,
        )


async def mail_pages(bucket: Bucket, place: SealedPlace) -> AsyncIterator[list[Listed]]:
    """Yield all mail below a prefix, at most 1,000 at once, in the order of the keys' UTF-8 bytes.

    Raises what listing the bucket raises.
    """
    if not place.is_there:
        async for page in bucket.pages(place.prefix):
            yield page
        return
    names = _SealedNames()
    try:
        after = ""
        filled = False
        async for page in bucket.pages(place.prefix):
            if not filled:
                await _fill(names, bucket, place)
                filled = True
            upto = page[-1].key if page else after
            async for merged in _merged(names, page, after, upto):
                yield merged
            after = upto
        async for merged in _merged(names, [], after, None):
            yield merged
    finally:
        names.close()


async def one_mail(bucket: Bucket, place: SealedPlace, key: str) -> AsyncIterator[list[Listed]]:
    """Yield pages of the keys that begin with `key`, with what stands for it if it is sealed."""
    there = False
    async for page in bucket.pages(key):
        there = there or any(entry.key == key for entry in page)
        yield page
        if there:
            return
    if not there and (sealed := await place.sealed_of(bucket, key)):
        yield sealed[:1]


async def _fill(names: _SealedNames, bucket: Bucket, place: SealedPlace) -> None:
    try:
        async for page in bucket.pages(place.sealed_prefix):
            found = [entry for each in page if (entry := place.plain(each)) is not None]
            await asyncio.to_thread(names.add, found)
    except AccessDeniedError:
        if place.expected:
            raise


async def _merged(
    names: _SealedNames, page: Sequence[Listed], after: str, upto: str | None
) -> AsyncIterator[list[Listed]]:
    """Yield a page with the sealed names of its span, as often as it takes."""
    plain = {entry.key for entry in page}
    left = list(page)
    while True:
        sealed = await asyncio.to_thread(names.between, after, upto, PAGE_KEYS)
        last = sealed[-1].key if len(sealed) == PAGE_KEYS else None
        now = [e for e in left if last is None or e.key <= last]
        left = left[len(now) :]
        others = (each for each in sealed if each.key not in plain)
        yield list(merge(now, others, key=lambda entry: entry.key)) if sealed else now
        if last is None:
            return
        after = last


class _SealedNames:
    """The newest sealed object of each plain key. Blocking; one thread at a time."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.execute(
            "CREATE TABLE names (key TEXT PRIMARY KEY, etag TEXT, size INTEGER, at TEXT,"
            " storage_class TEXT, restored INTEGER, sealed_key TEXT) WITHOUT ROWID"
        )

    def close(self) -> None:
        self._db.close()

    def add(self, entries: Sequence[Listed]) -> None:
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO names VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
            " etag = excluded.etag, size = excluded.size, at = excluded.at,"
            " storage_class = excluded.storage_class, restored = excluded.restored,"
            " sealed_key = excluded.sealed_key WHERE excluded.at > at",
            [
                (e.key, e.etag, e.size, e.last_modified, e.storage_class, e.restored, e.sealed_key)
                for e in entries
            ],
        )
        self._db.execute("COMMIT")

    def between(self, after: str, upto: str | None, limit: int) -> list[Listed]:
        """Return those with a key after `after`, up to `upto` if that is not None."""
        rows = self._db.execute(
            "SELECT key, etag, size, at, storage_class, restored, sealed_key FROM names"
            " WHERE key > ? AND (? IS NULL OR key <= ?) ORDER BY key LIMIT ?",
            (after, upto, upto, limit),
        )
        return [
            Listed(key, etag, size, at, storage_class, bool(restored), sealed_key)
            for key, etag, size, at, storage_class, restored, sealed_key in rows
        ]
