"""Every version of every object in a bucket, as calls that delete them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call
from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable

BATCH = 1000
"""What S3 deletes at once."""


@dataclass(frozen=True, slots=True)
class EveryVersion:
    """Found out page by page while it is deleted: a bucket may hold millions."""

    aws: AwsClient
    bucket: str

    def __iter__(self) -> Iterator[Call]:
        while batch := self._some():
            objects = {"Objects": batch, "Quiet": True}
            parameters = {"Bucket": self.bucket, "Delete": objects}
            yield Call("s3", "delete_objects", parameters, on_response=_all_deleted)

    def _some(self) -> list[dict[str, str]]:
        page = self.aws.read("s3", "list_object_versions", Bucket=self.bucket, MaxKeys=BATCH) or {}
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        return [{"Key": v["Key"], "VersionId": v["VersionId"]} for v in found[:BATCH]]


def _all_deleted(answer: Mapping[str, Any]) -> None:
    """S3 answers with success even where it deleted nothing."""
    for error in answer.get("Errors", []):
        raise MisconfiguredError(
            f"{printable(str(error.get('Key')), 100)} cannot be deleted: "
            f"{printable(str(error.get('Message') or error.get('Code')))}.",
            "Look for a bucket policy or Object Lock that forbids it.",
        )
