"""The bucket, read only: every key of it, and any object in a stream."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from postamt_sync.bucket.bandwidth import Bandwidth, Transfer
from postamt_sync.bucket.data_keys import DataKeys
from postamt_sync.bucket.endpoint import S3Access
from postamt_sync.bucket.fetched import CHUNK_BYTES, Fetched
from postamt_sync.bucket.http_client import BROKEN, Incoming, S3HttpClient
from postamt_sync.bucket.listing import PAGE_KEYS, Listed, MalformedListingError, Page
from postamt_sync.bucket.opened_mail import OpenedFile, OpenedPlace
from postamt_sync.bucket.responses import (
    AccessDeniedError,
    Answer,
    ObjectChangedError,
    ObjectGoneError,
)
from postamt_sync.errors import PostamtError
from postamt_sync.mail.arrival import LONGEST_KEY

if TYPE_CHECKING:
    import boto3


CONNECTIONS = 52
"""More than mails that the courier fetches at once: a listing waits for none of them."""

_ETAG = re.compile(r"[!#-~]+")
"""RFC 9110, section 8.8.3, less its 8-bit characters: fit to stand in a header."""


class Bucket:
    """Reads one bucket, as an async context manager; making one costs nothing.

    Errors: TryLaterError for what passes by itself, MisconfiguredError for what a person must
    change, and for one object ObjectGoneError, ObjectChangedError, ObjectArchivedError and
    AccessDeniedError. Each call asks again, so a remedy works without a new Bucket.
    """

    def __init__(
        self,
        name: str,
        region: str,
        *,
        session: boto3.Session | None = None,
        bandwidth: Bandwidth | None = None,
        connections: int = CONNECTIONS,
        stalled_after: float = 30.0,
        longest_page: float = 120.0,
        data_keys: DataKeys | None = None,
    ) -> None:
        """In seconds: how long a peer may be silent, and what a page of a listing may take.

        `data_keys` opens what SES encrypted with a KMS key; without one that cannot be read.
        """
        self.name = name
        self.unreadable = 0
        """Listed keys that were left out because they are no UTF-8; S3 itself has none."""
        self.bandwidth = bandwidth or Bandwidth()
        self._http = S3HttpClient(name, region, S3Access(name, region, session))
        self._connections = connections
        self._stalled_after = stalled_after
        self._longest_page = longest_page
        self.opened: OpenedPlace | None = None
        """Where mail is taken from that is gone from the bucket and that its owner has opened."""
        self._key_of = data_keys.key_of if data_keys is not None else None

    async def __aenter__(self) -> Self:
        self._http.open(self._connections, self._stalled_after)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def pages(
        self, prefix: str, skip: Callable[[str], str] = lambda _: ""
    ) -> AsyncIterator[list[Listed]]:
        """Yield what is listed under `prefix`, at most 1,000 objects at once, in key order.

        The order is that of the keys' UTF-8 bytes, over all pages. A page is yielded only whole
        and may be empty; what a failure leaves out is known by the error. `skip` is asked behind
        the last key of a page that is not the last one, and returns a later key behind which to go
        on, or "".
        """
        after = token = ""
        start: dict[str, str] = {}
        transfer = self.bandwidth.transfer()
        try:
            while True:
                await transfer.begin()
                page = Page(prefix, after)
                objects = await self._page(page, prefix, start, transfer)
                self.unreadable += page.unreadable
                yield objects
                after, token = page.last_key, page.token
                if not token:
                    return
                later = skip(after)
                if later.encode() > after.encode():
                    after, start = later, {"start-after": later}
                else:
                    start = {"continuation-token": token}
        finally:
            transfer.end()

    async def _is_gone(self, key: str) -> bool:
        """Tell whether a listing that we may make has no such key.

        To who may not list everything, S3 says of a missing object that it is forbidden (API
        Reference, "GetObject"). A listing is as new as the last write (S3 User Guide, "Amazon S3
        data consistency model"), and the key itself comes first below its own name.
        """
        page, transfer = Page(key, ""), self.bandwidth.transfer()
        try:
            objects = await self._page(page, key, {}, transfer)
        except PostamtError:
            return False
        finally:
            transfer.end()
        return not any(listed.key == key for listed in objects)

    async def _page(
        self, page: Page, prefix: str, start: Mapping[str, str], transfer: Transfer
    ) -> list[Listed]:
        query = {
            "list-type": "2",
            "prefix": prefix,
            # XML cannot hold every character that a key can.
            "encoding-type": "url",
            "max-keys": str(PAGE_KEYS),
            **start,
        }
        wanted = {"x-amz-optional-object-attributes": "RestoreStatus"}
        try:
            async with asyncio.timeout(self._longest_page):
                response = await self._http.get(None, query, wanted)
                await _feed(page, response, transfer)
        except TimeoutError as error:
            raise MalformedListingError("a page of it does not end") from error
        if page.error_document is not None:
            raise Answer(500, response.headers, page.error_document).error(self.name, None)
        return page.finish()

    @asynccontextmanager
    async def fetch(self, key: str, *, etag: str | None = None) -> AsyncIterator[Fetched]:
        """GET an object; with `etag` (without quotes) only if it is still that one.

        Leaving early is cheap: the connection is closed, and the rest never crosses the line.
        """
        try:
            length = len(key.encode())
        except UnicodeEncodeError:
            length = 0
        # No such object can be; and a GET of the empty key would be a listing.
        if not 0 < length <= LONGEST_KEY:
            raise ObjectGoneError(key)
        condition = {}
        if etag is not None:
            if not _ETAG.fullmatch(etag):
                raise ObjectChangedError(key)
            condition["if-match"] = f'"{etag}"'
        transfer = self.bandwidth.transfer()
        response = None
        try:
            await transfer.begin()
            fetched: Fetched
            try:
                response = await self._answer(key, condition)
            except ObjectGoneError:
                fetched = await self._from_owner(key, etag)
            else:
                fetched = Fetched(response, transfer, self._key_of)
                # Not every server that speaks S3 minds If-Match.
                if etag is not None and fetched.etag != etag:
                    raise ObjectChangedError(key)
            yield fetched
        finally:
            if response is not None:
                response.close()
            transfer.end()

    async def _from_owner(self, key: str, etag: str | None) -> Fetched:
        """Return a mail that is gone from the bucket and that its owner has opened."""
        if self.opened is not None:
            with suppress(OSError):
                found = await asyncio.to_thread(self.opened.find, self.name, key, etag)
                if found is not None:
                    return OpenedFile(*found)
        raise ObjectGoneError(key)

    async def _answer(self, key: str, condition: Mapping[str, str]) -> Incoming:
        try:
            return await self._http.get(key, {}, condition)
        except AccessDeniedError as error:
            if await self._is_gone(key):
                raise ObjectGoneError(key) from error
            raise


async def _feed(page: Page, response: Incoming, transfer: Transfer) -> None:
    try:
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            transfer.came_already(len(chunk))
            page.feed(chunk)
    except BROKEN as error:
        raise MalformedListingError("it is cut off") from error
    finally:
        response.close()
