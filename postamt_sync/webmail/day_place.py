"""The day's place: what a reader downloads or is about to send, kept for a day and no longer."""

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
"""Within which an upload has to begin; S3 looks at it once."""
OCTETS = "application/octet-stream"
UPLOADS = "up/"
"""Where browsers leave files, each mailbox in a place of its own."""

_NAME = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)
_NOT_THERE = frozenset({"NoSuchKey", "404", "AccessDenied", "403"})
"""Of a missing object S3 says that it is forbidden to who may not list."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A form that a browser may send, to `url` with `fields` and the file behind them, once the
    file is as long as was said. `name` is what it is asked for by, by its own mailbox alone.
    """

    url: str
    fields: Mapping[str, str]
    name: str


class DayPlace(Protocol):
    """Where large answers are left for the browser. Raises whatever the service raises."""

    @property
    def origin(self) -> str:
        """Where the addresses lead, for a policy."""

    def keep(self, content: bytes, name: str, shown_as: str = "") -> str:
        """Return an address that whoever has it can read for two minutes, as a download.

        `shown_as` is an image's type, for one that is to be shown. `name` is harmless already.
        """

    def upload(self, mailbox: str, size: int) -> Upload:
        """Return a form by which the mailbox may leave a file of at most so many bytes."""

    def uploaded(self, mailbox: str, name: str, most: int) -> bytes | None:
        """Return what the mailbox left under this name, foreign text; None: nothing whole.

        Of more than `most` bytes one more than that comes.
        """


class S3DayPlace:
    """A bucket, or a part of one, that is not versioned and empties after a day."""

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
