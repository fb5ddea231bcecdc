"""The CloudFront distribution: the page from the site bucket, the rest (/api/) from the API."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, Guard, Note, NoteKind, PlanItem
from postamt_sync.bootstrap.overlay import holds, overlaid
from postamt_sync.bootstrap.resources.certificate import CertificateResource
from postamt_sync.bootstrap.resources.edge_policy import EdgePolicyResource
from postamt_sync.bootstrap.resources.http_api import HttpApiResource
from postamt_sync.bootstrap.resources.secret_parameter import SecretParameterResource
from postamt_sync.bootstrap.tags import is_ours, listed, mapped
from postamt_sync.bootstrap.webmail_stack import SITE_PREFIX, WebmailStack
from postamt_sync.errors import TryLaterError
from postamt_sync.events import printable

CACHED = "658327ea-f89d-4fab-a63d-7e88639e58f6"
"""AWS's managed cache policy CachingOptimized: heeds the file's Cache-Control, and compresses."""
NEVER_CACHED = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
"""AWS's managed cache policy CachingDisabled."""

PAGE, API = "page", "api"
READING = ["GET", "HEAD"]
EVERY = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]

DEPLOYED = "Deployed"
LOOK_SECONDS = 20.0
PATIENCE_SECONDS = 25 * 60.0
"""CloudFront rarely takes more than a quarter of an hour to deploy a change."""

SOON = (
    "NoSuchOriginRequestPolicy",
    "NoSuchResponseHeadersPolicy",
    "InvalidOriginAccessControl",
)
"""Errors of what was only just created."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Our existing distribution. `host` is the name that CloudFront gave it."""

    id: str
    arn: str
    host: str
    status: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class DistributionResource:
    """The distribution, recognized by its comment and tag: AWS assigns its id, and the ids of the
    parts that it refers to."""

    stack: WebmailStack
    aws: AwsClient
    certificate: CertificateResource
    api: HttpApiResource
    secret: SecretParameterResource
    access: EdgePolicyResource
    handed_on: EdgePolicyResource
    headers: EdgePolicyResource

    @property
    def title(self) -> str:
        return f"distribution {self.stack.distribution}"

    def plan(self) -> Iterator[PlanItem]:
        found = self.find()
        if found is None:
            yield from self._make()
            return
        config = self._config(found.id)
        if not self._is_complete():
            yield Change("points to what was recreated", [self._update(found, config)])
        elif not holds(config, self._wanted()):
            waits = "CloudFront takes some minutes to roll it out"
            yield Change(f"was changed, restore it ({waits})", [self._update(found, config)])
        elif found.status != DEPLOYED:
            yield Note("CloudFront is still rolling it out: some minutes")

    def renew(self) -> Iterator[PlanItem]:
        """Yield the change that makes CloudFront send the newest secret."""
        found = self.find()
        if found is not None:
            yield Change(
                "sends the new secret (CloudFront takes some minutes to roll it out)",
                [self._update(found, self._config(found.id))],
            )

    def destroy(self) -> Iterator[PlanItem]:
        found = self.find()
        if found is not None:
            yield Change(
                "switch off, wait until CloudFront has done so everywhere (up to a quarter of an "
                "hour; stopped, run it again), delete",
                OffThenGone(self, found),
            )

    def find(self) -> Distribution | None:
        """Return our distribution; None if there is none."""
        every = self.aws.pages("cloudfront", "list_distributions", "DistributionList.Items")
        for one in every:
            if one.get("Comment") == self.stack.distribution and self._is_ours(one["ARN"]):
                return Distribution(
                    one["Id"], one["ARN"], one["DomainName"], one["Status"], one["Enabled"]
                )
        return None

    def _make(self) -> Iterator[PlanItem]:
        host = self.stack.host
        every = self.aws.pages("cloudfront", "list_distributions", "DistributionList.Items")
        for one in every:
            if host in one.get("Aliases", {}).get("Items", []):
                yield Conflict(
                    f"the distribution {printable(one['Id'], 40)} has the name {host} already, and "
                    "this stack did not make it.",
                    "Choose another webmail.host, or take the name away from that one.",
                )
                return
        if self.certificate.issued():
            yield Change("create (CloudFront takes some minutes to roll it out)", [self._create()])
        else:
            yield Note("waits for the certificate", NoteKind.CERTIFICATE)

    def _is_ours(self, arn: str) -> bool:
        answer = self.aws.read("cloudfront", "list_tags_for_resource", Resource=arn)
        return is_ours(mapped((answer or {}).get("Tags", {}).get("Items", [])), self.stack)

    def _is_complete(self) -> bool:
        """Whether all the parts that it refers to exist, so that none is created in this plan."""
        parts = (self.access, self.handed_on, self.headers)
        there = all(part.id() for part in parts) and self.api.ids()
        return bool(there and self.certificate.issued() and self.secret.ring())

    def _config(self, found: str) -> dict[str, Any]:
        answer = self.aws.read("cloudfront", "get_distribution_config", Id=found)
        return dict((answer or {}).get("DistributionConfig", {}))

    def _create(self) -> Call:
        # The same for each retry of one request, and unique to it.
        reference = f"{self.stack.distribution}-{secrets.token_hex(8)}"

        def late() -> Mapping[str, Any]:
            config = {"CallerReference": reference, **self._wanted()}
            tags = {"Items": listed(self.stack.tags)}
            return {"DistributionConfigWithTags": {"DistributionConfig": config, "Tags": tags}}

        return Call("cloudfront", "create_distribution_with_tags", {}, retry_on=SOON, late=late)

    def _update(self, found: Distribution, seen: dict[str, Any]) -> Call:
        return Call(
            "cloudfront",
            "update_distribution",
            {"Id": found.id},
            retry_on=SOON,
            guard=Guard(f"the {self.title}", lambda: self._config(found.id), seen),
            late=lambda: self.laid_over(found.id, self._wanted()),
        )

    def laid_over(self, found: str, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the parameters of an update: the current configuration with `wanted` laid over."""
        answer = self.aws.read("cloudfront", "get_distribution_config", Id=found)
        assert answer is not None
        config = overlaid(answer["DistributionConfig"], wanted)
        for outdated in ("Certificate", "CertificateSource"):
            # Beside the members that replaced them, they would contradict a new certificate.
            config.get("ViewerCertificate", {}).pop(outdated, None)
        return {"IfMatch": answer["ETag"], "DistributionConfig": config}

    def _wanted(self) -> dict[str, Any]:
        """Return the wanted configuration. Raises TryLaterError if a part is not visible yet."""
        stack = self.stack
        ring, certificate = self.secret.ring(), self.certificate.issued()
        if ring is None or not certificate:
            raise TryLaterError(
                f"The {self.title} has no secret or no certificate yet.",
                "Run it again: postamt-sync bootstrap apply",
            )
        page = {
            "Id": PAGE,
            "DomainName": f"{stack.site_bucket}.s3.{stack.region}.amazonaws.com",
            "OriginPath": f"/{SITE_PREFIX.rstrip('/')}",
            "OriginAccessControlId": self.access.known_id(),
            "S3OriginConfig": {"OriginAccessIdentity": ""},
            "CustomHeaders": {"Quantity": 0},
        }
        secret = {"HeaderName": stack.secret_header, "HeaderValue": ring.words[0]}
        api = {
            "Id": API,
            "DomainName": self.api.host(),
            "OriginPath": "",
            "CustomHeaders": {"Quantity": 1, "Items": [secret]},
            "CustomOriginConfig": {
                "HTTPPort": 80,
                "HTTPSPort": 443,
                "OriginProtocolPolicy": "https-only",
                "OriginSslProtocols": {"Quantity": 1, "Items": ["TLSv1.2"]},
            },
        }
        return {
            "Comment": stack.distribution,
            "Enabled": True,
            "Aliases": {"Quantity": 1, "Items": [stack.host]},
            "DefaultRootObject": "index.html",
            "HttpVersion": "http2and3",
            "IsIPV6Enabled": True,
            "PriceClass": "PriceClass_100",
            "Origins": {"Quantity": 2, "Items": [page, api]},
            "DefaultCacheBehavior": {
                "TargetOriginId": PAGE,
                "ViewerProtocolPolicy": "redirect-to-https",
                "AllowedMethods": _methods(READING),
                "Compress": True,
                "CachePolicyId": CACHED,
                "ResponseHeadersPolicyId": self.headers.known_id(),
            },
            "CacheBehaviors": {
                "Quantity": 1,
                "Items": [
                    {
                        "PathPattern": "/api/*",
                        "TargetOriginId": API,
                        "ViewerProtocolPolicy": "https-only",
                        "AllowedMethods": _methods(EVERY),
                        "Compress": False,
                        "CachePolicyId": NEVER_CACHED,
                        "OriginRequestPolicyId": self.handed_on.known_id(),
                    }
                ],
            },
            "ViewerCertificate": {
                "CloudFrontDefaultCertificate": False,
                "ACMCertificateArn": certificate,
                "SSLSupportMethod": "sni-only",
                "MinimumProtocolVersion": "TLSv1.2_2021",
            },
        }


@dataclass(frozen=True, slots=True)
class OffThenGone:
    """The calls that delete it: CloudFront only deletes a distribution whose disabling has been
    deployed everywhere."""

    resource: DistributionResource
    found: Distribution

    def __iter__(self) -> Iterator[Call]:
        id_ = self.found.id
        if self.found.enabled:
            yield Call(
                "cloudfront",
                "update_distribution",
                {"Id": id_},
                late=lambda: self.resource.laid_over(id_, {"Enabled": False}),
            )
        tag = self._when_deployed()
        yield Call("cloudfront", "delete_distribution", {"Id": id_, "IfMatch": tag})

    def _when_deployed(self) -> str:
        """Wait for the deployment and return the current ETag. Raises TryLaterError in the end."""
        aws = self.resource.aws
        waited = 0.0
        while True:
            answer = aws.read("cloudfront", "get_distribution", Id=self.found.id)
            assert answer is not None
            if answer["Distribution"]["Status"] == DEPLOYED:
                return str(answer["ETag"])
            if waited >= PATIENCE_SECONDS:
                raise TryLaterError(
                    f"CloudFront is still switching the {self.resource.title} off.",
                    "Run the same command again later: it goes on from here.",
                )
            aws.pause(LOOK_SECONDS)
            waited += LOOK_SECONDS


def _methods(allowed: list[str]) -> dict[str, Any]:
    cached = {"Quantity": len(READING), "Items": READING}
    return {"Quantity": len(allowed), "Items": allowed, "CachedMethods": cached}
