"""An object on its way in: what S3 says about it, and its bytes, checked as they pass."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Mapping
from email.utils import parsedate_to_datetime

import aiohttp

from postamt_sync.bucket.bandwidth import Transfer
from postamt_sync.bucket.http_client import BROKEN, unreachable
from postamt_sync.errors import TryLaterError

CHUNK_BYTES = 256 << 10
"""Bytes at once: hashing them holds the event loop for about a millisecond, on a Pi for four."""

_META = "x-amz-meta-"
_MD5 = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)


class DamagedError(TryLaterError):
    """The bytes that came are not the object: it is fetched anew."""

    def __init__(self, how: str) -> None:
        super().__init__(
            f"The object did not arrive whole: {how}.",
            "Nothing to do: it is fetched again. If it stays, check the line and the proxy.",
        )


class Fetched:
    """One answer to a GET. Its bytes come from `chunks()`, once.

    `etag` is without quotes, `size` in bytes, `last_modified` in seconds since 1970. `metadata`
    has the names of x-amz-meta-* in lower case and without that prefix; like the storage class it
    is foreign text.
    """

    def __init__(self, response: aiohttp.ClientResponse, transfer: Transfer | None = None) -> None:
        """Its bytes pass through `transfer`."""
        headers = response.headers
        try:
            self.etag = headers["ETag"].strip('"')
            self.size = int(headers["Content-Length"])
            self.last_modified = parsedate_to_datetime(headers["Last-Modified"]).timestamp()
        except (KeyError, ValueError, OverflowError) as error:
            raise DamagedError("the answer lacks what S3 says of each object") from error
        self.storage_class = headers.get("x-amz-storage-class", "STANDARD")
        self.metadata: Mapping[str, str] = {
            name.lower().removeprefix(_META): value
            for name, value in headers.items()
            if name.lower().startswith(_META)
        }
        self._response = response
        self._transfer = transfer
        self._sha256 = hashlib.sha256()
        self._whole = False
        # Under KMS and with a customer's key an ETag only looks like a MD5.
        plain = headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
        own_key = "x-amz-server-side-encryption-customer-algorithm" in headers
        self._etag_is_md5 = plain and not own_key and _MD5.fullmatch(self.etag) is not None

    @property
    def client_encrypted(self) -> bool:
        """Whether the sender of the object encrypted it (SES with a KMS key in its S3 action)."""
        return "x-amz-key-v2" in self.metadata or "x-amz-key" in self.metadata

    @property
    def sha256(self) -> str:
        """Hex; there only once `chunks()` has come to its end."""
        if not self._whole:
            raise RuntimeError("the object has not been read to its end")
        return self._sha256.hexdigest()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes, at most 256 KiB at once and as few as the network brings.

        Raises TryLaterError where they stall, are cut off, or are not those of the ETag: whatever
        was written of them is then to be thrown away.
        """
        md5 = hashlib.md5(usedforsecurity=False) if self._etag_is_md5 else None
        came = 0
        try:
            async for chunk in self._response.content.iter_chunked(CHUNK_BYTES):
                came += len(chunk)
                self._sha256.update(chunk)
                if md5 is not None:
                    md5.update(chunk)
                if self._transfer is not None:
                    await self._transfer.came(len(chunk))
                yield chunk
        except aiohttp.ClientPayloadError as error:
            raise DamagedError(f"{came} of {self.size} bytes came") from error
        except BROKEN as error:
            raise unreachable(self._response.url.host or "S3", error) from error
        if came != self.size:
            raise DamagedError(f"{came} of {self.size} bytes came")
        if md5 is not None and md5.hexdigest() != self.etag.lower():
            raise DamagedError("its MD5 is not its ETag")
        self._whole = True
