"""Who may read the site bucket: only our distribution, and only the page's files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, PlanItem
from postamt_sync.bootstrap.policy_document import Document, Statement
from postamt_sync.bootstrap.resources.bucket import SOON
from postamt_sync.bootstrap.resources.distribution import Distribution, DistributionResource
from postamt_sync.bootstrap.webmail_stack import SITE_PREFIX, WebmailStack


@dataclass(frozen=True, slots=True)
class SitePolicyResource:
    """The bucket's policy. All of it is ours, so statements of others are removed. It is destroyed
    with the bucket."""

    stack: WebmailStack
    aws: AwsClient
    distribution: DistributionResource

    @property
    def title(self) -> str:
        return f"policy of bucket {self.stack.site_bucket}"

    def plan(self) -> Iterator[PlanItem]:
        found = self.distribution.find()
        to_be_made = found is None and self.distribution.certificate.issued()
        if to_be_made or not policy_document.same(self._read(), self._policy(found)):
            yield Change("only our distribution may read the page", [self._put()])

    def destroy(self) -> Iterator[PlanItem]:
        yield from ()

    def _read(self) -> Document | None:
        answer = self.aws.read(
            "s3",
            "get_bucket_policy",
            missing=("NoSuchBucket", "NoSuchBucketPolicy"),
            Bucket=self.stack.site_bucket,
        )
        return policy_document.parse((answer or {}).get("Policy"))

    def _put(self) -> Call:
        def late() -> dict[str, Any]:
            return {"Policy": policy_document.text(self._policy(self.distribution.find()))}

        named = {"Bucket": self.stack.site_bucket}
        return Call("s3", "put_bucket_policy", named, retry_on=SOON, late=late)

    def _policy(self, found: Distribution | None) -> Document:
        arn = self.stack.site_bucket_arn
        tls: Statement = {
            "Sid": "PostamtTlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        if found is None:
            return policy_document.document(tls)
        read: Statement = {
            "Sid": "PostamtWebmailPage",
            "Effect": "Allow",
            "Principal": {"Service": "cloudfront.amazonaws.com"},
            "Action": "s3:GetObject",
            "Resource": f"{arn}/{SITE_PREFIX}*",
            "Condition": {"StringEquals": {"AWS:SourceArn": found.arn}},
        }
        return policy_document.document(read, tls)
