"""The day's place, which keeps for a day what a reader downloads or is about to send."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit

from botocore.exceptions import ClientError

from postamt_sync.webmail.exchange import disposition
from postamt_sync.webmail.mail_store import PRESIGNED_SECONDS

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

UPLOAD_SECONDS = 900
"""Seconds within which an upload has to begin; S3 checks that at the start."""
OCTETS = "application/octet-stream"
UPLOADS = "up/"
"""The prefix of files from browsers; each mailbox has its own below it."""

_NAME = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)
_NOT_THERE = frozenset({"NoSuchKey", "404", "AccessDenied", "403"})
"""If we may not list, S3 says of a missing object that it is forbidden."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A form that a browser may send to `url`, with `fields` and then a file of the promised size.

    `name` is the name of the file from then on, for its own mailbox only.
    """

    url: str
    fields: Mapping[str, str]
    name: str


class DayPlace(Protocol):
    """Where large answers are put for the browser. Raises whatever the service raises."""

    @property
    def origin(self) -> str:
        """The origin of the URLs, for a Content-Security-Policy."""

    def keep(self, content: bytes, name: str, shown_as: str = "") -> str:
        """Return a URL from which anybody who has it can download `content` for two minutes.

        `shown_as` is the type of an image that is to be shown instead. `name` must be harmless.
        """

    def upload(self, mailbox: str, size: int) -> Upload:
        """Return a form by which the mailbox may upload a file of up to `size` bytes."""

    def uploaded(self, mailbox: str, name: str, most: int) -> bytes | None:
        """Return what the mailbox uploaded under this untrusted name; None if there is nothing.

        If it has more than `most` bytes, one more than that is returned.
        """


class S3DayPlace:
    """A bucket, or a prefix in one, without versions, whose objects expire after a day."""

    def __init__(self, client: S3Client, bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    @property
    def origin(self) -> str:
        parts = urlsplit(self._address("x", {}))
        return f"{parts.scheme}://{parts.netloc}"

    def keep(self, content: bytes, name: str, shown_as: str = "") -> str:
        key = f"{self._prefix}{secrets.token_urlsafe(24)}"
        self._client.put_object(
            Bucket=self._bucket, Key=key, Body=content, ContentType=shown_as or OCTETS
        )
        if shown_as:
            return self._address(key, {"ResponseContentType": shown_as})
        how = {"ResponseContentType": OCTETS, "ResponseContentDisposition": disposition(name)}
        return self._address(key, how)

    def upload(self, mailbox: str, size: int) -> Upload:
        name = secrets.token_urlsafe(24)
        form = self._client.generate_presigned_post(
            Bucket=self._bucket,
            Key=self._upload_key(mailbox, name),
            Fields={"Content-Type": OCTETS},
            Conditions=[{"Content-Type": OCTETS}, ["content-length-range", 0, size]],
            ExpiresIn=UPLOAD_SECONDS,
        )
        return Upload(form["url"], form["fields"], name)

    def uploaded(self, mailbox: str, name: str, most: int) -> bytes | None:
        if not _NAME.fullmatch(name):
            return None
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._upload_key(mailbox, name), Range=f"bytes=0-{most}"
            )
            with answer["Body"] as body:
                return body.read()
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "InvalidRange":
                return b""
            if code in _NOT_THERE:
                return None
            raise

    def _upload_key(self, mailbox: str, name: str) -> str:
        return f"{self._prefix}{UPLOADS}{quote(mailbox, safe='')}/{name}"

    def _address(self, key: str, more: dict[str, str]) -> str:
        parameters = {"Bucket": self._bucket, "Key": key, **more}
        return self._client.generate_presigned_url(
            "get_object", parameters, ExpiresIn=PRESIGNED_SECONDS
        )
