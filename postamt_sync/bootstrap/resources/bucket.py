"""The S3 bucket that holds all mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.aws.regions import WITHOUT_OWN_NAMESPACE
from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, Guard, Note, PlanItem, call
from postamt_sync.bootstrap.resource_policies import bucket_statements
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import new_bucket
from postamt_sync.bootstrap.tags import NOT_OURS, TAG, is_ours, listed, mapped
from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable
from postamt_sync.log_line import without_markup

BATCH = 1000
"""Objects in one DeleteObjects call, at most."""

BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}

SOON = ("NoSuchBucket", "OperationAborted")
"""Errors of a bucket that S3 is still creating."""


def read_bucket(aws: AwsClient, bucket: str, operation: str, *missing: str) -> dict[str, Any]:
    """Call a read operation on a bucket; {} if S3 gives an error code in `missing`."""
    return aws.read("s3", operation, missing=missing, Bucket=bucket) or {}


def tags_of_bucket(aws: AwsClient, bucket: str) -> dict[str, str]:
    return mapped(read_bucket(aws, bucket, "get_bucket_tagging", "NoSuchTagSet").get("TagSet", []))


@dataclass(frozen=True, slots=True)
class EveryVersion:
    """The calls that delete everything in a bucket, listed page by page: there may be millions of
    versions."""

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
    """Raise if an object was not deleted: S3 reports success even then."""
    for error in answer.get("Errors", []):
        raise MisconfiguredError(
            f"{printable(str(error.get('Key')), 100)} cannot be deleted: "
            f"{printable(without_markup(str(error.get('Message') or error.get('Code'))))}.",
            "Look for a bucket policy or Object Lock that forbids it.",
        )


@dataclass(frozen=True, slots=True)
class BucketResource:
    """The bucket with its tags, versioning, encryption, public access block and policy.

    An existing bucket of this name is adopted: settings that are not ours stay. To have it
    destroyed too, `delete_mail` must repeat its name.
    """

    stack: Stack
    aws: AwsClient
    delete_mail: str = ""

    @property
    def title(self) -> str:
        return f"bucket {self.stack.bucket}"

    def plan(self) -> Iterator[PlanItem]:
        stack = self.stack
        try:
            head = self.aws.read("s3", "head_bucket", missing=("404",), Bucket=stack.bucket)
        except MisconfiguredError as error:
            yield Conflict(
                "it belongs to another account, or we may not see it.",
                f"{self._another}, which nobody else can have. ({error.problem})",
            )
            return
        if head is None and stack.own_namespace and stack.region in WITHOUT_OWN_NAMESPACE:
            yield Conflict(
                f"accounts have no namespace of their own in {stack.region}.",
                f"{self._another}, which nobody can guess.",
            )
            return
        if head is None:
            where = ", in the account's own namespace" if stack.own_namespace else ""
            yield Change(f"create{where}", [self._create()])
            tags: dict[str, str] = {}
        elif head.get("BucketRegion", stack.region) != stack.region:
            yield Conflict(
                f"it lies in {printable(head['BucketRegion'], 40)}.",
                "Choose that region in aws.region, or another bucket.name.",
            )
            return
        else:
            tags = self._tags()
        other = tags.get(TAG, stack.name)
        if other != stack.name:
            yield Conflict(
                f"it belongs to the stack {printable(other, 60)}.", "Choose another bucket.name."
            )
            return
        yield from self._settings(tags, exists=head is not None)

    @property
    def _another(self) -> str:
        stack = self.stack
        return (
            "Choose another bucket.name, such as "
            f"{new_bucket(stack.name, stack.account, stack.region)}"
        )

    def destroy(self) -> Iterator[PlanItem]:
        name = self.stack.bucket
        if self.aws.read("s3", "head_bucket", missing=("404",), Bucket=name) is None:
            return
        if not is_ours(self._tags(), self.stack):
            yield NOT_OURS
        elif self.delete_mail == name:
            everything = EveryVersion(self.aws, name)
            yield Change("delete every mail in it, with all versions", everything)
            yield Change("delete", [call("s3", "delete_bucket", Bucket=name)])
        else:
            yield Note(f"kept, with all mail; --delete-mail {name} deletes it too")

    def _create(self) -> Call:
        parameters: dict[str, Any] = {"Bucket": self.stack.bucket}
        if self.stack.own_namespace:
            parameters["BucketNamespace"] = "account-regional"
        if self.stack.region != "us-east-1":  # which S3 does not accept as a location
            place = {"LocationConstraint": self.stack.region}
            parameters["CreateBucketConfiguration"] = place
        return Call("s3", "create_bucket", parameters, retry_on=("OperationAborted",))

    def _settings(self, tags: Mapping[str, str], *, exists: bool) -> Iterator[PlanItem]:
        if tags.get(TAG) != self.stack.name:
            wanted = listed({**tags, **self.stack.tags})
            yield Change("tag", [self._put("put_bucket_tagging", Tagging={"TagSet": wanted})])
        status = (self._get("get_bucket_versioning") if exists else {}).get("Status", "off")
        if status != "Enabled":
            enabled = {"Status": "Enabled"}
            yield Change(
                f"versions: {status.lower()} → kept",
                [self._put("put_bucket_versioning", VersioningConfiguration=enabled)],
            )
        yield from self._encryption(exists=exists)
        blocked = self._get(
            "get_public_access_block", "NoSuchPublicAccessBlockConfiguration", exists=exists
        ).get("PublicAccessBlockConfiguration", {})
        if blocked != BLOCKED:
            yield Change(
                "public access: block",
                [self._put("put_public_access_block", PublicAccessBlockConfiguration=BLOCKED)],
            )
        yield from self._policy(exists=exists)

    def _encryption(self, *, exists: bool) -> Iterator[PlanItem]:
        rules = (
            self._get(
                "get_bucket_encryption",
                "ServerSideEncryptionConfigurationNotFoundError",
                exists=exists,
            )
            .get("ServerSideEncryptionConfiguration", {})
            .get("Rules", [])
        )
        if not rules:
            yield Change(
                "encryption: by S3's own keys",
                [self._put("put_bucket_encryption", ServerSideEncryptionConfiguration=ENCRYPTED)],
            )
        elif any("KMS" in str(rule).upper() for rule in rules):
            yield Note(
                "it is encrypted with a KMS key: that key's policy must let SES "
                f"(kms:GenerateDataKey*, kms:Decrypt) and {self.stack.sync_user} (kms:Decrypt) "
                "use it."
            )

    def _policy(self, *, exists: bool) -> Iterator[PlanItem]:
        seen = self._read_policy() if exists else None
        ours = bucket_statements(self.stack)
        message = ", ".join(policy_document.differences(seen, ours))
        if message:
            wanted = policy_document.text(policy_document.with_statements(seen, ours))
            guard = Guard(f"the policy of bucket {self.stack.bucket}", self._read_policy, seen)
            put = self._put("put_bucket_policy", guard if exists else None, Policy=wanted)
            yield Change(f"policy: {message}", [put])

    def _read_policy(self) -> policy_document.Document | None:
        return policy_document.parse(
            self._get("get_bucket_policy", "NoSuchBucketPolicy").get("Policy")
        )

    def _tags(self) -> dict[str, str]:
        return tags_of_bucket(self.aws, self.stack.bucket)

    def _get(self, operation: str, *missing: str, exists: bool = True) -> dict[str, Any]:
        return read_bucket(self.aws, self.stack.bucket, operation, *missing) if exists else {}

    def _put(self, operation: str, guard: Guard | None = None, **parameters: Any) -> Call:
        bucket = {"Bucket": self.stack.bucket}
        return Call("s3", operation, bucket | parameters, retry_on=SOON, guard=guard)
