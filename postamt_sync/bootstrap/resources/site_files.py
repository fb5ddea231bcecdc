"""The page's files in the site bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem, call
from postamt_sync.bootstrap.resources.bucket import SOON
from postamt_sync.bootstrap.webmail_stack import SITE_PREFIX, WebmailStack
from postamt_sync.events import printable
from postamt_sync.quantities import count
from postamt_sync.webmail.site import SiteFile, site

CACHED = "no-cache"
"""Revalidated each time, at the cost of a 304: a new page is seen at once, and as a whole."""
HASH = "sha256"


@dataclass(frozen=True, slots=True)
class SiteFilesResource:
    """The files, each with its type and Cache-Control; those of an older page are deleted.

    They are destroyed with the bucket.
    """

    stack: WebmailStack
    aws: AwsClient
    files: Mapping[str, SiteFile] = field(default_factory=site, repr=False)

    @property
    def title(self) -> str:
        return f"page in bucket {self.stack.site_bucket}"

    def plan(self) -> Iterator[PlanItem]:
        there = self._keys()
        wanted = {f"{SITE_PREFIX}{path[1:]}": f for path, f in self.files.items() if path != "/"}
        new = [key for key in wanted if key not in there]
        changed = [key for key in wanted if key in there and not self._is(key, wanted[key])]
        if new:
            calls = [self._put(key, wanted[key]) for key in new]
            yield Change(f"{count(len(new), 'file')}: create", calls)
        for key in changed:
            name = key.removeprefix(SITE_PREFIX)
            yield Change(f"{name}: was changed, restore it", [self._put(key, wanted[key])])
        for key in sorted(there - wanted.keys()):
            gone = call("s3", "delete_object", Bucket=self.stack.site_bucket, Key=key)
            yield Change(f"{printable(key, 200)}, not part of the page: delete", [gone])

    def destroy(self) -> Iterator[PlanItem]:
        yield from ()

    def _keys(self) -> set[str]:
        found = self.aws.pages(
            "s3",
            "list_objects_v2",
            "Contents",
            missing=("NoSuchBucket",),
            Bucket=self.stack.site_bucket,
            Prefix=SITE_PREFIX,
        )
        return {str(one["Key"]) for one in found}

    def _is(self, key: str, file: SiteFile) -> bool:
        head = self.aws.read(
            "s3", "head_object", missing=("404",), Bucket=self.stack.site_bucket, Key=key
        )
        return head is not None and (
            head.get("ContentType"),
            head.get("CacheControl"),
            head.get("ContentLength"),
            head.get("Metadata", {}).get(HASH),
        ) == (file.type, CACHED, len(file.content), _hash(file))

    def _put(self, key: str, file: SiteFile) -> Call:
        parameters: dict[str, Any] = {
            "Bucket": self.stack.site_bucket,
            "Key": key,
            "Body": file.content,
            "ContentType": file.type,
            "CacheControl": CACHED,
            "Metadata": {HASH: _hash(file)},
        }
        return Call("s3", "put_object", parameters, retry_on=SOON)


def _hash(file: SiteFile) -> str:
    return hashlib.sha256(file.content).hexdigest()
