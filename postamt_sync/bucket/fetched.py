"""An object on its way in: what S3 says about it, and its bytes, checked as they pass."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from postamt_sync.aws.aes_gcm import GcmDecryption, NotAuthenticError
from postamt_sync.bucket.bandwidth import Transfer
from postamt_sync.bucket.data_keys import never_opened, no_kms, unknown_encryption
from postamt_sync.bucket.http_client import BROKEN, Incoming, unreachable
from postamt_sync.errors import TryLaterError
from postamt_sync.mail.client_encryption import (
    ClientEncryption,
    UnknownEncryptionError,
    client_encryption,
    is_client_encrypted,
)

KeyOf = Callable[[ClientEncryption], Awaitable[bytes]]
"""Returns the key of an encrypted mail, or raises PostamtError."""

CHUNK_BYTES = 256 << 10
"""Bytes at once: hashing them holds the event loop for about a millisecond, on a Pi for four."""

SHORT = 64 << 10
"""Bytes whose hash takes no longer than coming back from having let other threads run."""
UNSHARED = 2047
"""The most bytes that hashlib hashes without letting them."""

_META = "x-amz-meta-"
_DATE = re.compile(
    r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MD5 = re.compile(r"[0-9a-fA-F]{32}", re.ASCII)


class DamagedError(TryLaterError):
    """The bytes that came are not the object: it is fetched again."""

    def __init__(self, how: str) -> None:
        super().__init__(
            f"The object did not arrive whole: {how}.",
            "Nothing to do: it is fetched again. If it stays, check the line and the proxy.",
        )


class Fetched:
    """One answer to a GET. Its bytes come from `chunks()`, once.

    `etag` is without quotes, `size` in bytes as S3 has them, `last_modified` in seconds since 1970.
    `metadata` has the names of x-amz-meta-* in lower case and without that prefix; like the storage
    class it is foreign text.
    """

    def __init__(
        self,
        response: Incoming,
        transfer: Transfer | None = None,
        key_of: KeyOf | None = None,
    ) -> None:
        """Its bytes pass through `transfer`. `key_of` opens what SES encrypted; without one that is
        refused."""
        headers = response.headers
        try:
            self.etag = headers["ETag"].strip('"')
            self.size = int(headers["Content-Length"])
            self.last_modified = _moment(headers["Last-Modified"])
        except (KeyError, ValueError, OverflowError) as error:
            raise DamagedError("the answer lacks what S3 says of each object") from error
        self.storage_class = headers.get("x-amz-storage-class", "STANDARD")
        self.metadata: Mapping[str, str] = {
            name.lower().removeprefix(_META): value
            for name, value in headers.items()
            if name[: len(_META)].lower() == _META
        }
        self._response = response
        self._transfer = transfer
        self._key_of = key_of
        self._sha256 = hashlib.sha256()
        self._whole = False
        # Under KMS and with a customer's key an ETag only looks like a MD5.
        plain = headers.get("x-amz-server-side-encryption", "AES256") == "AES256"
        own_key = "x-amz-server-side-encryption-customer-algorithm" in headers
        self._etag_is_md5 = plain and not own_key and _MD5.fullmatch(self.etag) is not None

    @property
    def client_encrypted(self) -> bool:
        """Whether the sender of the object encrypted it (SES with a KMS key in its S3 action)."""
        return is_client_encrypted(self.metadata)

    @property
    def sha256(self) -> str:
        """Of the mail, in hex; there only once `chunks()` has come to its end."""
        if not self._whole:
            raise RuntimeError("the object has not been read to its end")
        return self._sha256.hexdigest()

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the mail's bytes, at most 256 KiB at once and as few as the network brings.

        What SES encrypted comes in plain text, which is proven only at the end. Raises
        TryLaterError where the bytes stall, are cut off, are not those of the ETag or cannot be
        opened now, UndeliverableError where nobody can ever open them: whatever was written of them
        is then to be thrown away.
        """
        opened = await self._decryption() if self.metadata else None
        md5 = hashlib.md5(usedforsecurity=False) if self._etag_is_md5 else None
        came = 0
        try:
            async for chunk in self._response.content.iter_chunked(CHUNK_BYTES):
                came += len(chunk)
                if md5 is not None:
                    _add(md5, chunk)
                if self._transfer is not None:
                    await self._transfer.came(len(chunk))
                plain = opened.feed(chunk) if opened is not None else chunk
                if plain:
                    _add(self._sha256, plain)
                    yield plain
        except aiohttp.ClientPayloadError as error:
            came = self._response.content.total_bytes
            raise DamagedError(f"{came} of {self.size} bytes came") from error
        except BROKEN as error:
            raise unreachable(self._response.host or "S3", error) from error
        if came != self.size:
            raise DamagedError(f"{came} of {self.size} bytes came")
        if md5 is not None and md5.hexdigest() != self.etag.lower():
            raise DamagedError("its MD5 is not its ETag")
        if opened is not None and (rest := self._proven(opened)):
            _add(self._sha256, rest)
            yield rest
        self._whole = True

    async def _decryption(self) -> GcmDecryption | None:
        try:
            encryption = client_encryption(self.metadata, self.size)
        except UnknownEncryptionError as error:
            raise unknown_encryption(str(error)) from error
        if encryption is None:
            return None
        if self._key_of is None:
            raise no_kms()
        return GcmDecryption(await self._key_of(encryption), encryption.iv)

    def _proven(self, opened: GcmDecryption) -> bytes:
        """Return what is left of the mail. Where the ETag has proven that the bytes are those that
        were stored, one that cannot be opened now never can."""
        try:
            return opened.finish()
        except NotAuthenticError as error:
            if self._etag_is_md5:
                reason = "its bytes were changed, or its data key is another's"
                raise never_opened(reason) from error
            raise DamagedError("what SES proves it with does not fit its bytes") from error


def _add(digest: hashlib._Hash, data: bytes) -> None:
    """Hash some bytes; other threads run meanwhile only where that is worth their while."""
    if len(data) > SHORT:
        digest.update(data)
        return
    for start in range(0, len(data), UNSHARED):
        digest.update(data[start : start + UNSHARED])


def _moment(date: str) -> float:
    """Return the seconds since 1970; ValueError or OverflowError where it is no date of HTTP."""
    match = _DATE.fullmatch(date)
    if match is None or match[2] not in _MONTHS:  # an obsolete form of it (RFC 9110 section 5.6.7)
        moment = parsedate_to_datetime(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    day, month, year, hour, minute, second = match.groups()
    exact = datetime(
        int(year),
        _MONTHS.index(month) + 1,
        int(day),
        int(hour),
        int(minute),
        int(second),
        tzinfo=UTC,
    )
    return exact.timestamp()
