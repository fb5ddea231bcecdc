"""An account with nothing in it that notes every call and sends none: what `apply` would ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call
from postamt_sync.bootstrap.plan import plan
from postamt_sync.bootstrap.policy_document import Document
from postamt_sync.bootstrap.smoke_test import SmokeTest
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_resources import resources
from postamt_sync.bootstrap.tags import listed
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.errors import TryLaterError
from tests.doubles.account import ACCOUNT
from tests.support.aws_session import aws_session

DISTRIBUTION = f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1"

_NONE_OF_THEM = {
    f"list_{noun}": {f"{member}List": {}}
    for noun, member in (
        ("origin_access_controls", "OriginAccessControl"),
        ("origin_request_policies", "OriginRequestPolicy"),
        ("response_headers_policies", "ResponseHeadersPolicy"),
    )
}


class EmptyAccount(AwsClient):
    """Has nothing, notes every call, and takes none to anybody.

    Of a webmail it has what AWS draws the ids of, which policies name: API and distribution.
    """

    def __init__(self, region: str, webmail: WebmailStack | None = None) -> None:
        super().__init__(aws_session(region=region), region)
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self._read: dict[str, dict[str, Any]] = dict(_NONE_OF_THEM)
        self._paged: dict[str, list[dict[str, Any]]] = {}
        if webmail is not None:
            api = {"ApiId": "api1", "Name": webmail.api, "Tags": webmail.tags}
            edge = {"Id": "E1", "ARN": DISTRIBUTION, "Comment": webmail.distribution}
            drawn = {"DomainName": "d1.cloudfront.net", "Status": "Deployed", "Enabled": True}
            self._read["list_tags_for_resource"] = {"Tags": {"Items": listed(webmail.tags)}}
            self._paged = {"get_apis": [api], "list_distributions": [{**edge, **drawn}]}

    @property
    def account(self) -> str:
        return ACCOUNT

    def read(
        self, service: str, operation: str, /, *, missing: tuple[str, ...] = (), **parameters: Any
    ) -> dict[str, Any] | None:
        self.calls.append((service, operation, parameters))
        return self._read.get(operation, {} if not missing else None)

    def pages(
        self,
        service: str,
        operation: str,
        members: str,
        /,
        *,
        missing: tuple[str, ...] = (),
        **parameters: Any,
    ) -> list[Any]:
        self.calls.append((service, operation, parameters))
        return self._paged.get(operation, [])

    def write(self, wanted: Call) -> None:
        try:
            late = wanted.late() if wanted.late is not None else {}
        except TryLaterError:  # it follows from what nobody has made here
            late = {}
        self.calls.append((wanted.service, wanted.operation, {**wanted.parameters, **late}))
        if wanted.on_response is not None:
            arn = "arn:aws:sns:eu-west-1:123456789012:t:0"
            wanted.on_response({"QueueUrl": "https://q.example", "SubscriptionArn": arn})


def everything(stack: Stack) -> EmptyAccount:
    """Return an account that was asked for everything of a stack, and for a trial of it."""
    aws = EmptyAccount(stack.region, stack.webmail)
    for _, change in plan(
        resources(stack, aws, Path("/nowhere"), seal_code=lambda _: b"zip")
    ).changes:
        for one in change.calls:
            aws.write(one)
    for user in sorted({p["UserName"] for _, _, p in aws.calls if "UserName" in p}):
        aws.write(Call("iam", "create_access_key", {"UserName": user}))
    ticks = iter((0.0, 0.0, 1.0, 100.0, 100.0))
    SmokeTest(stack, aws, clock=lambda: next(ticks)).announced_within(90)
    return aws


def policies(aws: EmptyAccount) -> Iterator[tuple[str, Document]]:
    """Yield every policy document that was written, each with what it hangs on."""
    for _, _, parameters in aws.calls:
        attributes = parameters.get("Attributes")
        found = {**parameters, **(attributes if isinstance(attributes, dict) else {})}
        owners = ("UserName", "RoleName", "Bucket", "QueueName", "Name")
        owner = next((f"{found[name]}" for name in owners if name in found), "")
        if "AssumeRolePolicyDocument" in found:
            yield f"{owner}, who may be it", json.loads(found["AssumeRolePolicyDocument"])
        for name in ("Policy", "PolicyDocument"):
            if name in found:
                yield owner, json.loads(found[name])
