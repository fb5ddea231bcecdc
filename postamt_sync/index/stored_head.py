"""How a stored mail begins, read at S3: a part of the object, or all of what SES encrypted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from postamt_sync.aws.aes_gcm import NoCipherError
from postamt_sync.aws.data_keys import NeverOpenedError, NoDataKeyError, data_key, plain_text
from postamt_sync.mail.client_encryption import (
    UnknownEncryptionError,
    client_encryption,
    is_client_encrypted,
)
from postamt_sync.mail.header_block import LONGEST_HEAD, header_block

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

FIRST_READ = 16 << 10
"""Bytes of a mail that are read first; SES's own header lines alone take 2 to 4 KB."""

CHUNK_BYTES = 256 << 10

_CANNOT_BE_READ = frozenset({"NoSuchKey", "InvalidObjectState", "InvalidRange"})
"""Of an object that is gone, in an archive class, or empty: it is indexed without its header."""

_CHANGED = 412


class StoredHead:
    """Reads in one bucket; `kms` is a client of boto3, None where nothing is to be opened."""

    def __init__(
        self, s3: S3Client, bucket: str, kms: Any, say: Callable[[str, Mapping[str, object]], None]
    ) -> None:
        """`say` is told, with event and fields, of what can never be opened as things are."""
        self._s3 = s3
        self._bucket = bucket
        self._kms = kms
        self._say = say

    def read(self, key: str, etag: str) -> bytes | None:
        """Read until the header block is complete; None if it cannot be read, or has changed.

        `etag` is without quotes, "" where it is not known. Raises what AWS raises.
        """
        only_if = {"IfMatch": f'"{etag}"'} if etag else {}
        try:
            return self._read(key, only_if)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            # Another object lies there by now, and has a notification of its own.
            if status == _CHANGED or error.response["Error"]["Code"] in _CANNOT_BE_READ:
                return None
            raise

    def _read(self, key: str, only_if: Mapping[str, str]) -> bytes | None:
        """Read each byte once, further and further."""
        head = b""
        until = FIRST_READ
        while True:
            answer = self._s3.get_object(
                Bucket=self._bucket,
                Key=key,
                Range=f"bytes={len(head)}-{until - 1}",
                **only_if,  # type: ignore[arg-type]
            )
            metadata = answer.get("Metadata", {})
            size = int(answer["ContentRange"].rpartition("/")[2])
            if is_client_encrypted(metadata):
                answer["Body"].close()
                return self._opened(key, answer["ETag"], metadata, size)
            head += answer["Body"].read()
            ended = len(head) >= min(size, LONGEST_HEAD)
            if ended or header_block(head) is not None:
                return head
            until *= 4

    def _opened(self, key: str, etag: str, metadata: Mapping[str, str], size: int) -> bytes | None:
        """Read all of a mail that SES encrypted: only its end proves how it begins."""
        try:
            encryption = client_encryption(metadata, size)
            if encryption is None or self._kms is None:
                self._say("encrypted, and kms is not on", {})
                return None
            opened_by = data_key(self._kms, encryption)
            answer = self._s3.get_object(Bucket=self._bucket, Key=key, IfMatch=etag)
            head = b""
            for plain in plain_text(answer["Body"].iter_chunks(CHUNK_BYTES), encryption, opened_by):
                if len(head) < LONGEST_HEAD:
                    head += plain
        except (UnknownEncryptionError, NeverOpenedError, NoDataKeyError, NoCipherError) as error:
            self._say("encrypted, and cannot be opened", {"reason": str(error)})
            return None
        return head
