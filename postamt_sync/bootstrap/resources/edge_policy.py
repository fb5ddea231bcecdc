"""CloudFront's policies beside a distribution: how it fetches the page, what it forwards to the
API, and which headers it adds to the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call, Change, Conflict, PlanItem
from postamt_sync.bootstrap.overlay import holds, overlaid
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.errors import TryLaterError
from postamt_sync.webmail.site import HEADERS, policy

YEARS_2 = 2 * 365 * 24 * 3600
"""Seconds for which a browser uses only TLS to come back."""

FORWARDED = (
    "CloudFront-Viewer-Address",
    "Content-Type",
    "Origin",
    "Sec-Fetch-Site",
    "postamt-by-itself",
    "postamt-mailbox",
)
"""The request headers that the function reads; CloudFront sets the first one itself, whatever the
client sent."""

_SECURITY = (
    "Content-Security-Policy",
    "Referrer-Policy",
    "X-Content-Type-Options",
    "X-Frame-Options",
)
"""Headers that CloudFront accepts only in members of their own."""


@dataclass(frozen=True, slots=True)
class EdgePolicyResource:
    """One such policy, recognized by its exact name and comment: they cannot be tagged.

    `noun` is boto3's name for the kind, as in create_NOUN. `member` is the member of an answer that
    holds the configuration, and `comment` the member of that for a comment. `wrapped` is the member
    that wraps an entry of a list, "" for none. `wanted` is the configuration without name and
    comment.
    """

    stack: WebmailStack
    aws: AwsClient
    noun: str
    member: str
    comment: str
    wrapped: str
    wanted: Mapping[str, Any] = field(repr=False)

    @property
    def title(self) -> str:
        return f"{self.noun.replace('_', ' ')} {self.stack.distribution}"

    def plan(self) -> Iterator[PlanItem]:
        found = self.id()
        if not found:
            yield Change("create", [self._create()])
            return
        there, _ = self._read(found)
        if there.get(self.comment) != self._config[self.comment]:
            yield Conflict(
                "one of this name is there already, and this stack did not make it.",
                "Choose another stack.name, or delete it.",
            )
        elif not holds(there, self._config):
            yield Change("was changed, restore it", [self._update(found)])

    def destroy(self) -> Iterator[PlanItem]:
        found = self.id()
        if not found:
            return
        there, tag = self._read(found)
        if there.get(self.comment) == self._config[self.comment]:
            named = {"Id": found, "IfMatch": tag}
            # CloudFront releases it some seconds after the distribution is gone.
            retry = (f"{self.wrapped or 'OriginAccessControl'}InUse",)
            yield Change(
                "delete", [Call("cloudfront", f"delete_{self.noun}", named, retry_on=retry)]
            )

    def id(self) -> str:
        """Return its id; "" if it does not exist."""
        plural = f"{self.noun.removesuffix('y')}ies" if self.noun.endswith("y") else f"{self.noun}s"
        for one in self._entries(f"list_{plural}"):
            held = one[self.wrapped] if self.wrapped else one
            config = held[self.member] if self.wrapped else held
            if config.get("Name") == self.stack.distribution:
                return str(held["Id"])
        return ""

    def known_id(self) -> str:
        """Return its id. Raises TryLaterError if it does not exist yet."""
        if found := self.id():
            return found
        raise TryLaterError(
            f"The {self.title} cannot be seen yet.",
            "Run it again in a minute; it goes on where it was.",
        )

    @property
    def _config(self) -> dict[str, Any]:
        stack = self.stack
        words = f"postamt-sync: the webmail of stack {stack.name} in {stack.region}"
        return {"Name": stack.distribution, self.comment: words, **self.wanted}

    def _entries(self, operation: str) -> Iterator[dict[str, Any]]:
        asked: dict[str, Any] = {"Type": "custom"} if self.wrapped else {}
        while True:
            answer = self.aws.read("cloudfront", operation, **asked) or {}
            found = answer[f"{self.member.removesuffix('Config')}List"]
            yield from found.get("Items", [])
            if not found.get("NextMarker"):
                return
            asked["Marker"] = found["NextMarker"]

    def _read(self, found: str) -> tuple[dict[str, Any], str]:
        """Return its configuration and ETag."""
        answer = self.aws.read("cloudfront", f"get_{self.noun}", Id=found)
        assert answer is not None
        held = answer[self.member.removesuffix("Config")]
        return held[self.member], answer["ETag"]

    def _create(self) -> Call:
        return Call("cloudfront", f"create_{self.noun}", {self.member: self._config}, once=True)

    def _update(self, found: str) -> Call:
        def late() -> Mapping[str, Any]:
            there, tag = self._read(found)
            return {"IfMatch": tag, self.member: overlaid(there, self._config)}

        return Call("cloudfront", f"update_{self.noun}", {"Id": found}, late=late)


def origin_access(stack: WebmailStack, aws: AwsClient) -> EdgePolicyResource:
    """Return how CloudFront signs its requests to the site bucket."""
    signed = {
        "SigningProtocol": "sigv4",
        "SigningBehavior": "always",
        "OriginAccessControlOriginType": "s3",
    }
    member = "OriginAccessControlConfig"
    return EdgePolicyResource(
        stack, aws, "origin_access_control", member, "Description", "", signed
    )


def origin_request(stack: WebmailStack, aws: AwsClient) -> EdgePolicyResource:
    """Return which parts of a request are forwarded to the API."""
    handed_on = {
        "HeadersConfig": {
            "HeaderBehavior": "whitelist",
            "Headers": {"Quantity": len(FORWARDED), "Items": list(FORWARDED)},
        },
        "CookiesConfig": {"CookieBehavior": "all"},
        "QueryStringsConfig": {"QueryStringBehavior": "all"},
    }
    return EdgePolicyResource(
        stack,
        aws,
        "origin_request_policy",
        "OriginRequestPolicyConfig",
        "Comment",
        "OriginRequestPolicy",
        handed_on,
    )


def page_headers(stack: WebmailStack, aws: AwsClient) -> EdgePolicyResource:
    """Return the headers added to the page. Not to the API's answers: the frame that shows a mail
    has its own security policy."""
    others = [
        {"Header": name, "Value": value, "Override": True}
        for name, value in HEADERS.items()
        if name not in _SECURITY
    ]
    secure = {
        "ContentSecurityPolicy": {
            "Override": True,
            "ContentSecurityPolicy": page_csp(stack),
        },
        "ContentTypeOptions": {"Override": True},
        "FrameOptions": {"Override": True, "FrameOption": HEADERS["X-Frame-Options"]},
        "ReferrerPolicy": {"Override": True, "ReferrerPolicy": HEADERS["Referrer-Policy"]},
        "StrictTransportSecurity": {
            "Override": True,
            "AccessControlMaxAgeSec": YEARS_2,
            "IncludeSubdomains": False,
            "Preload": False,
        },
    }
    added = {
        "SecurityHeadersConfig": secure,
        "CustomHeadersConfig": {"Quantity": len(others), "Items": others},
    }
    return EdgePolicyResource(
        stack,
        aws,
        "response_headers_policy",
        "ResponseHeadersPolicyConfig",
        "Comment",
        "ResponseHeadersPolicy",
        added,
    )


def page_csp(stack: WebmailStack) -> str:
    """Return the page's Content-Security-Policy, which lets it upload large attachments to the site
    bucket under either of the bucket's host names."""
    bucket = stack.site_bucket
    return policy(
        f"https://{bucket}.s3.{stack.region}.amazonaws.com", f"https://{bucket}.s3.amazonaws.com"
    )
