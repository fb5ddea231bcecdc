"""The day's place: what a reader downloads or is about to send, kept for a day and no longer."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PRESIGNED_SECONDS = 120
OCTETS = "application/octet-stream"


class DayPlace(Protocol):
    """Where large answers are left for the browser. Raises whatever the service raises."""

    @property
    def origin(self) -> str:
        """Where the addresses lead, for a policy."""

    def keep(self, content: bytes, name: str, shown_as: str = "") -> str:
        """Return an address that whoever has it can read for two minutes, as a download.

        `shown_as` is an image's type, for one that is to be shown. `name` is harmless already.
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
        plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in name)
        how = f'attachment; filename="{plain}"'
        return self._address(
            key, {"ResponseContentType": OCTETS, "ResponseContentDisposition": how}
        )

    def _address(self, key: str, more: dict[str, str]) -> str:
        parameters = {"Bucket": self._bucket, "Key": key, **more}
        return self._client.generate_presigned_url(
            "get_object", parameters, ExpiresIn=PRESIGNED_SECONDS
        )
