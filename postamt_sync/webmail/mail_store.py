"""Reading the stored mail at AWS, all of it or the beginning. Nothing here writes to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from postamt_sync.aws.aes_gcm import NoCipherError
from postamt_sync.aws.data_keys import NeverOpenedError, NoDataKeyError, data_key, plain_text
from postamt_sync.mail.client_encryption import (
    ClientEncryption,
    UnknownEncryptionError,
    client_encryption,
    is_client_encrypted,
)
from postamt_sync.mail.sealed_name import parse

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LONGEST_MAIL = 60 << 20
"""Bytes. SES accepts 40 MB."""
PRESIGNED_SECONDS = 120
"""Seconds within which a browser has to begin to download from a presigned URL."""
SEALED = (
    "This mail is sealed: only its owner's own key opens it. Where that key is, type: "
    "postamt-sync unseal KEY"
)
"""KEY stands for the mail's key."""
_GONE = frozenset({"NoSuchKey", "404", "KeyTooLongError"})
_NOT_NOW = frozenset({"InvalidObjectState"})
_FORBIDDEN = frozenset({"AccessDenied", "403"})
_EMPTY = "InvalidRange"


class MailGoneError(Exception):
    """There is no object with this key any more or, if `archived`, it is in an archive."""

    def __init__(self, *, archived: bool = False) -> None:
        super().__init__("archived" if archived else "gone")
        self.archived = archived

    @property
    def problem(self) -> str:
        """What is wrong, in a sentence for the user."""
        if self.archived:
            return "This mail is in the archive and cannot be read right away."
        return "This mail is no longer there."


class MailClosedError(MailGoneError):
    """The object exists, but its mail cannot be read here. `problem` says why."""

    def __init__(self, problem: str) -> None:
        super().__init__()
        self._problem = problem

    @property
    def problem(self) -> str:
        return self._problem


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a listing. `last_modified` is in seconds since 1970, `size` in bytes."""

    key: str
    etag: str
    size: int
    last_modified: float


class MailStore(Protocol):
    """Objects by key. Methods raise MailGoneError, or whatever the service raises."""

    def head(self, key: str, most: int) -> bytes:
        """Return the first `most` bytes."""

    def read(self, key: str) -> bytes:
        """Return all bytes, up to LONGEST_MAIL."""

    def presigned(self, key: str, filename: str) -> str:
        """Return a URL from which it can be downloaded for a short time; this makes no request.

        "" if the object may be encrypted, which would be of no use.
        """

    def listed(self, prefix: str) -> Iterable[StoredObject]:
        """Return every object below a prefix, in any order."""


@dataclass(frozen=True, slots=True)
class SealedPrefixes:
    """The prefixes of received mail and of its sealed objects; neither is empty."""

    prefix: str
    sealed_prefix: str


class S3MailStore:
    """A bucket of S3."""

    def __init__(
        self, client: S3Client, bucket: str, kms: Any = None, sealed: SealedPrefixes | None = None
    ) -> None:
        """`kms` is a client for opening mail that SES encrypted, None if that is not wanted.

        `sealed` is where mail is that only its owner can open, None if there is none.
        """
        self._client = client
        self._bucket = bucket
        self._kms = kms
        self._sealed = sealed

    def head(self, key: str, most: int) -> bytes:
        return self._get(key, most)

    def read(self, key: str) -> bytes:
        return self._get(key, LONGEST_MAIL)

    def presigned(self, key: str, filename: str) -> str:
        if self._kms is not None:
            return ""
        parameters = {
            "Bucket": self._bucket,
            "Key": key,
            "ResponseContentType": "application/octet-stream",
            "ResponseContentDisposition": f'attachment; filename="{filename}"',
        }
        return self._client.generate_presigned_url(
            "get_object", parameters, ExpiresIn=PRESIGNED_SECONDS
        )

    def listed(self, prefix: str) -> Iterable[StoredObject]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix):
            for each in page.get("Contents", []):
                yield StoredObject(
                    each["Key"],
                    each["ETag"].strip('"'),
                    each["Size"],
                    each["LastModified"].timestamp(),
                )

    def _get(self, key: str, most: int) -> bytes:
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=key, Range=f"bytes=0-{most - 1}"
            )
            with closing(answer["Body"]) as body:
                metadata = answer.get("Metadata", {})
                if not is_client_encrypted(metadata):
                    return body.read()
                size = int(answer["ContentRange"].rpartition("/")[2])
                whole: Any = body if size <= most else None
                return self._opened(key, answer["ETag"], metadata, size, whole)[:most]
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == _EMPTY:
                return b""
            if code in _GONE or (code in _FORBIDDEN and self._is_gone(key)):
                if self._is_sealed(key):
                    raise MailClosedError(SEALED.replace("KEY", key)) from error
                raise MailGoneError from error
            if code in _NOT_NOW:
                raise MailGoneError(archived=True) from error
            raise

    def _opened(
        self, key: str, etag: str, metadata: Mapping[str, str], size: int, body: Any
    ) -> bytes:
        """Return a mail that SES encrypted. `body` is the whole object, None if it must be read.

        It has to be read to its end, which authenticates the beginning.
        """
        try:
            encryption = client_encryption(metadata, size)
            if encryption is None or self._kms is None or size > LONGEST_MAIL:
                raise MailClosedError("SES has encrypted this mail, and it cannot be opened here.")
            opened_by = self._data_key(encryption)
            if body is None:
                body = self._client.get_object(Bucket=self._bucket, Key=key, IfMatch=etag)["Body"]
            with closing(body):
                return b"".join(plain_text(body.iter_chunks(1 << 20), encryption, opened_by))
        except (UnknownEncryptionError, NeverOpenedError, NoCipherError) as error:
            raise MailClosedError(f"This mail cannot be opened: {error}.") from error

    def _data_key(self, encryption: ClientEncryption) -> bytes:
        try:
            return data_key(self._kms, encryption)
        except (ClientError, BotoCoreError, NoDataKeyError) as error:
            raise MailClosedError(
                "SES has encrypted this mail, and its KMS key cannot be used now."
            ) from error

    def _is_sealed(self, key: str) -> bool:
        """Tell whether there is a sealed object for a key; if that cannot be found out, no."""
        place = self._sealed
        if place is None or not key.startswith(place.prefix):
            return False
        mail = key.removeprefix(place.prefix)
        try:
            under = self.listed(f"{place.sealed_prefix}{mail}/")
            names = (parse(each.key, place.sealed_prefix) for each in under)
            return any(name is not None and name.id == mail for name in names)
        except ClientError:
            return False

    def _is_gone(self, key: str) -> bool:
        """Tell whether a forbidden object does not exist, by a listing.

        If we may only list below a prefix, S3 answers a GET of a missing object with a 403, since
        it names no prefix.
        """
        try:
            return all(each.key != key for each in self.listed(key))
        except ClientError:
            return False
