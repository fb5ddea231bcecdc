"""The private bucket for the webmail's page and for files that are kept for a day: no versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, PlanItem, call
from postamt_sync.bootstrap.overlay import holds
from postamt_sync.bootstrap.resources.bucket import (
    BLOCKED,
    ENCRYPTED,
    SOON,
    EveryVersion,
    read_bucket,
    tags_of_bucket,
)
from postamt_sync.bootstrap.tags import NOT_OURS, is_ours, listed, stranger
from postamt_sync.bootstrap.webmail_stack import DAY_PREFIX, WebmailStack
from postamt_sync.errors import MisconfiguredError

OWNED = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
"""No ACLs: the bucket's owner owns every object, whoever wrote it."""

LIFECYCLE = {
    "Rules": [
        {
            "ID": "postamt-webmail-day",
            "Status": "Enabled",
            "Filter": {"Prefix": DAY_PREFIX},
            "Expiration": {"Days": 1},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        }
    ]
}


@dataclass(frozen=True, slots=True)
class SiteBucketResource:
    """The bucket with its tags, public access block, encryption, ownership, the expiry of files
    that are kept for a day, and CORS, which lets only our page upload there. Nothing in it is worth
    keeping."""

    stack: WebmailStack
    aws: AwsClient

    @property
    def title(self) -> str:
        return f"bucket {self.stack.site_bucket}"

    def plan(self) -> Iterator[PlanItem]:
        name = self.stack.site_bucket
        try:
            head = self.aws.read("s3", "head_bucket", missing=("404",), Bucket=name)
        except MisconfiguredError as error:
            yield Conflict(
                "it belongs to another account, or we may not see it.",
                f"Choose another stack.name. ({error.problem})",
            )
            return
        if head is None:
            # The second call tags it; until then its unique name tells whose it is.
            yield Change("create, with its tag", [self._create(), self._tag({})])
        else:
            tags = self._tags()
            # After an interruption between these two calls, it is untagged and empty.
            conflict = stranger(tags, self.stack) if tags or not self._is_empty() else None
            if conflict is not None:
                yield conflict
                return
            if not is_ours(tags, self.stack):
                yield Change("tag", [self._tag(tags)])
        yield from self._settings(exists=head is not None)

    def destroy(self) -> Iterator[PlanItem]:
        name = self.stack.site_bucket
        if self.aws.read("s3", "head_bucket", missing=("404",), Bucket=name) is None:
            return
        tags = self._tags()
        if is_ours(tags, self.stack) or (not tags and self._is_empty()):
            yield Change("delete the page and the files of the day", EveryVersion(self.aws, name))
            yield Change("delete", [call("s3", "delete_bucket", Bucket=name)])
        else:
            yield NOT_OURS

    def _create(self) -> Call:
        stack = self.stack
        parameters: dict[str, Any] = {
            "Bucket": stack.site_bucket,
            "ObjectOwnership": "BucketOwnerEnforced",
        }
        if stack.own_namespace:
            parameters["BucketNamespace"] = "account-regional"
        if stack.region != "us-east-1":
            parameters["CreateBucketConfiguration"] = {"LocationConstraint": stack.region}
        return Call("s3", "create_bucket", parameters, retry_on=("OperationAborted",))

    def _settings(self, *, exists: bool) -> Iterator[PlanItem]:
        blocked = self._get(
            "get_public_access_block", "NoSuchPublicAccessBlockConfiguration", exists=exists
        ).get("PublicAccessBlockConfiguration")
        if blocked != BLOCKED:
            yield Change(
                "public access: block",
                [self._put("put_public_access_block", PublicAccessBlockConfiguration=BLOCKED)],
            )
        encryption = self._get(
            "get_bucket_encryption",
            "ServerSideEncryptionConfigurationNotFoundError",
            exists=exists,
        ).get("ServerSideEncryptionConfiguration")
        if not holds(encryption, ENCRYPTED):
            yield Change(
                "encryption: by S3's own keys",
                [self._put("put_bucket_encryption", ServerSideEncryptionConfiguration=ENCRYPTED)],
            )
        owned = self._get(
            "get_bucket_ownership_controls", "OwnershipControlsNotFoundError", exists=exists
        ).get("OwnershipControls")
        if not holds(owned, OWNED):
            yield Change(
                "ownership: the bucket's, without ACLs",
                [self._put("put_bucket_ownership_controls", OwnershipControls=OWNED)],
            )
        lifecycle = self._get(
            "get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration", exists=exists
        )
        if not holds(lifecycle.get("Rules"), LIFECYCLE["Rules"]):
            yield Change(
                f"files in {DAY_PREFIX} expire after a day",
                [self._put("put_bucket_lifecycle_configuration", LifecycleConfiguration=LIFECYCLE)],
            )
        cors = self._get("get_bucket_cors", "NoSuchCORSConfiguration", exists=exists)
        if not holds(cors.get("CORSRules"), self._cors["CORSRules"]):
            yield Change(
                f"only {self.stack.origin} may upload there from a browser",
                [self._put("put_bucket_cors", CORSConfiguration=self._cors)],
            )

    @property
    def _cors(self) -> dict[str, Any]:
        rule = {
            "AllowedMethods": ["POST"],
            "AllowedOrigins": [self.stack.origin],
            "AllowedHeaders": ["content-type"],
            "MaxAgeSeconds": 600,
        }
        return {"CORSRules": [rule]}

    def _is_empty(self) -> bool:
        page = self.aws.read("s3", "list_object_versions", Bucket=self.stack.site_bucket, MaxKeys=1)
        return not (page or {}).get("Versions") and not (page or {}).get("DeleteMarkers")

    def _tags(self) -> dict[str, str]:
        return tags_of_bucket(self.aws, self.stack.site_bucket)

    def _tag(self, tags: Mapping[str, str]) -> Call:
        wanted = listed({**tags, **self.stack.tags})
        return self._put("put_bucket_tagging", Tagging={"TagSet": wanted})

    def _get(self, operation: str, *missing: str, exists: bool = True) -> dict[str, Any]:
        return read_bucket(self.aws, self.stack.site_bucket, operation, *missing) if exists else {}

    def _put(self, operation: str, **parameters: Any) -> Call:
        return Call(
            "s3", operation, {"Bucket": self.stack.site_bucket, **parameters}, retry_on=SOON
        )
