"""The bucket as the sealing function uses it: all versions of plain mail, and sealed mail.

It reads, stores what does not exist yet, and tags. No call in here deletes anything.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from postamt_sync.mail.client_encryption import is_client_encrypted
from postamt_sync.mail.sealed_name import SEALED_TAG
from postamt_sync.seal.packets import HEAD

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CHUNK = 1 << 18
"""Bytes that are read at a time."""
_IS_THERE = 412
"""S3's answer to If-None-Match if the object exists (Precondition Failed)."""
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


@dataclass(frozen=True, slots=True)
class PlainVersion:
    """One version of a plain object, as in a listing. `etag` has no quotes, `size` is in bytes.

    `newest`: there is no later content under its key, though there may be a delete marker.
    `current`: there is not even that.
    """

    key: str
    version: str
    last_modified: datetime
    etag: str
    size: int
    newest: bool = True
    current: bool = True


@dataclass(frozen=True, slots=True)
class ReadPlain:
    """What was read of a plain version. Hashes are in hex, `size` is in bytes.

    `etag_is_md5`: its ETag is the MD5 of exactly these bytes. `enveloped`: these are not the bytes
    of the mail, which was encrypted in some way before it was stored.
    """

    size: int
    sha256: str
    md5: str
    etag_is_md5: bool
    enveloped: bool


@dataclass(frozen=True, slots=True)
class StoredSeal:
    """A sealed object that was read to its end. `head` is its beginning, of up to HEAD bytes."""

    size: int
    sha256: str
    head: bytes
    metadata: Mapping[str, str]


class SealerBucket:
    """One bucket. Every method raises what boto3 raises."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def versions(self, prefix: str, after: str = "") -> Iterator[PlainVersion]:
        """Yield every version below a prefix, after the key `after`, by key, the newest first."""
        key, version, before = after, "", ""
        while True:
            page = self._s3.list_object_versions(
                Bucket=self._bucket,
                Prefix=prefix,
                **({"KeyMarker": key} if key else {}),  # type: ignore[arg-type]
                **({"VersionIdMarker": version} if version else {}),  # type: ignore[arg-type]
            )
            for found in page.get("Versions", []):
                yield PlainVersion(
                    found["Key"],
                    found["VersionId"],
                    found["LastModified"],
                    found["ETag"].strip('"'),
                    found["Size"],
                    newest=found["Key"] != before,
                    current=found["IsLatest"],
                )
                before = found["Key"]
            if not page.get("IsTruncated"):
                return
            key, version = page["NextKeyMarker"], page.get("NextVersionIdMarker", "")

    def keeps_versions(self) -> bool:
        """Tell whether what expires, or is overwritten, is kept as a version."""
        return self._s3.get_bucket_versioning(Bucket=self._bucket).get("Status") == "Enabled"

    def sealed(self, prefix: str, after: str = "") -> Iterator[str]:
        """Yield the keys below a prefix, after the key `after`."""
        while True:
            page = self._s3.list_objects_v2(
                Bucket=self._bucket,
                Prefix=prefix,
                **({"StartAfter": after} if after else {}),  # type: ignore[arg-type]
            )
            for found in page.get("Contents", []):
                yield found["Key"]
                after = found["Key"]
            if not page.get("IsTruncated"):
                return

    def tags(self, version: PlainVersion) -> dict[str, str]:
        """Return the tags of a version."""
        answer = self._s3.get_object_tagging(
            Bucket=self._bucket, Key=version.key, VersionId=version.version
        )
        return {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}

    def tag(self, version: PlainVersion) -> None:
        """Let a version expire. This replaces its tags, so it must have none."""
        key, value = SEALED_TAG
        self._s3.put_object_tagging(
            Bucket=self._bucket,
            Key=version.key,
            VersionId=version.version,
            Tagging={"TagSet": [{"Key": key, "Value": value}]},
        )

    def read(self, version: PlainVersion, path: str) -> ReadPlain:
        """Write a version's bytes to a file, a chunk at a time."""
        answer = self._s3.get_object(
            Bucket=self._bucket, Key=version.key, VersionId=version.version
        )
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        with open(path, "wb") as file:  # noqa: PTH123 - a name in /tmp
            for chunk in answer["Body"].iter_chunks(CHUNK):
                file.write(chunk)
                sha256.update(chunk)
                md5.update(chunk)
                size += len(chunk)
        bare = answer.get("ServerSideEncryption", "AES256") == "AES256"
        metadata = {name.lower(): value for name, value in answer.get("Metadata", {}).items()}
        return ReadPlain(
            size,
            sha256.hexdigest(),
            md5.hexdigest(),
            bare and "-" not in version.etag,
            is_client_encrypted(metadata),
        )

    def put(self, key: str, path: str, sha256: str, metadata: Mapping[str, str]) -> bool:
        """Store a file, unless the key exists: then return False.

        `sha256` is the file's, in hex: S3 refuses other bytes.
        """
        checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=file,
                    IfNoneMatch="*",
                    ChecksumSHA256=checksum,
                    ContentType="application/pgp-encrypted",
                    Metadata=dict(metadata),
                )
        except ClientError as error:
            if _status(error) == _IS_THERE:
                return False
            raise
        return True

    def has(self, key: str) -> bool:
        """Tell whether an object exists."""
        try:
            self._s3.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return False
            raise
        return True

    def read_back(self, key: str) -> StoredSeal:
        """Read a sealed object to its end, and keep only its beginning."""
        answer: Any = self._s3.get_object(Bucket=self._bucket, Key=key)
        sha256, size, head = hashlib.sha256(), 0, b""
        for chunk in answer["Body"].iter_chunks(CHUNK):
            sha256.update(chunk)
            size += len(chunk)
            if len(head) < HEAD:
                head = (head + chunk)[:HEAD]
        return StoredSeal(size, sha256.hexdigest(), head, answer.get("Metadata", {}))


def _status(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
