"""Storing mail that is written in the webmail: in `outbox/` before it is sent, then in `sent/`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

from botocore.exceptions import ClientError

from postamt_sync.mail.sent_mail import OUTBOX_PREFIX

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_THERE_ALREADY = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})


class SentStore(Protocol):
    """Writes are durable on return. Methods raise whatever the service raises."""

    def put(self, key: str, raw: bytes) -> None:
        """Write an object, replacing an existing one."""

    def put_once(self, key: str, raw: bytes) -> None:
        """Write an object, unless there is one with this key."""


class S3SentStore:
    """The bucket with the mail."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, raw: bytes) -> None:
        self._client.put_object(Bucket=self._bucket, Key=key, Body=raw)

    def put_once(self, key: str, raw: bytes) -> None:
        try:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=raw, IfNoneMatch="*")
        except ClientError as error:
            if error.response["Error"]["Code"] not in _THERE_ALREADY:
                raise


def outbox_key(mailbox: str, draft: str) -> str:
    """Return the key of a mail before it is sent."""
    return f"{OUTBOX_PREFIX}{quote(mailbox, safe='')}/{draft}"
