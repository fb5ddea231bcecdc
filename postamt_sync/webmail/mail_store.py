"""The stored mail: read at AWS, whole or its beginning; nothing here writes to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

LONGEST_MAIL = 60 << 20
"""Bytes; SES takes in 40 MB."""
PRESIGNED_SECONDS = 120
_GONE = frozenset({"NoSuchKey", "404", "KeyTooLongError"})
_NOT_NOW = frozenset({"InvalidObjectState"})
_FORBIDDEN = frozenset({"AccessDenied", "403"})
_EMPTY = "InvalidRange"


class MailGoneError(Exception):
    """There is no object of this key any more, or it lies in an archive: `archived`."""

    def __init__(self, *, archived: bool = False) -> None:
        super().__init__("archived" if archived else "gone")
        self.archived = archived


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of a listing. `last_modified` in seconds since 1970."""

    key: str
    etag: str
    size: int
    last_modified: float


class MailStore(Protocol):
    """Objects by key. Raises MailGoneError, or whatever the service raises."""

    def head(self, key: str, most: int) -> bytes:
        """Return the first bytes, `most` at most."""

    def read(self, key: str) -> bytes:
        """Return all of it, LONGEST_MAIL at most."""

    def presigned(self, key: str, filename: str) -> str:
        """Return an address under which it can be downloaded for a short time; asks nobody."""

    def listed(self, prefix: str) -> Iterable[StoredObject]:
        """Return every object below a prefix, in no order."""


class S3MailStore:
    """One bucket, of one account."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def head(self, key: str, most: int) -> bytes:
        return self._get(key, most)

    def read(self, key: str) -> bytes:
        return self._get(key, LONGEST_MAIL)

    def presigned(self, key: str, filename: str) -> str:
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
            with answer["Body"] as body:
                return body.read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == _EMPTY:
                return b""
            if code in _GONE or (code in _FORBIDDEN and self._is_gone(key)):
                raise MailGoneError from error
            if code in _NOT_NOW:
                raise MailGoneError(archived=True) from error
            raise

    def _is_gone(self, key: str) -> bool:
        """Tell whether a listing knows nothing of what is forbidden: who may list below a prefix
        alone is told so of what is gone, as a GET names no prefix."""
        try:
            return all(each.key != key for each in self.listed(key))
        except ClientError:
            return False
