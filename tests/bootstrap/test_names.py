"""Each stack name that the configuration takes is one that every service takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postamt_sync.aws.regions import RECEIVING
from postamt_sync.bootstrap.aws_client import AwsClient
from postamt_sync.bootstrap.change import Call
from postamt_sync.bootstrap.plan import plan
from postamt_sync.bootstrap.smoke_test import SmokeTest
from postamt_sync.bootstrap.stack import SmtpSender, Stack, new_bucket
from postamt_sync.bootstrap.stack_resources import resources
from postamt_sync.config.values import stack_name
from tests.doubles.account import ACCOUNT
from tests.support.aws_session import aws_session
from tests.support.service_model import faults_of

LONGEST_MAILBOX = "m" * 64
LONGEST = "a" * 30


class EmptyAccount(AwsClient):
    """Has nothing, notes every call, and takes none to anybody."""

    def __init__(self, region: str) -> None:
        super().__init__(aws_session(region=region), region)
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    @property
    def account(self) -> str:
        return ACCOUNT

    def read(
        self, service: str, operation: str, /, *, missing: tuple[str, ...] = (), **parameters: Any
    ) -> dict[str, Any] | None:
        self.calls.append((service, operation, parameters))
        return {} if not missing else None

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
        return []

    def write(self, wanted: Call) -> None:
        late = wanted.late() if wanted.late is not None else {}
        self.calls.append((wanted.service, wanted.operation, {**wanted.parameters, **late}))
        if wanted.on_response is not None:
            arn = "arn:aws:sns:eu-west-1:123456789012:t:0"
            wanted.on_response({"QueueUrl": "https://q.example", "SubscriptionArn": arn})


def calls(name: str, region: str = "eu-west-1", *, own_users: bool = False) -> EmptyAccount:
    """Return an account that was asked for everything of a stack of this name."""
    aws = EmptyAccount(region)
    senders = (SmtpSender(LONGEST_MAILBOX, ("ann@example.com",)),) if own_users else ()
    stack = Stack(
        name=name,
        account=ACCOUNT,
        region=region,
        bucket=new_bucket(name, ACCOUNT, region),
        domains=("example.com",),
        public_url="https://home.example.com/sns",
        bounce_notices=True,
        smtp_senders=senders,
    )
    for _, change in plan(resources(stack, aws, Path("/nowhere"))).changes:
        for one in change.calls:
            aws.write(one)
    for user in {p["UserName"] for _, _, p in aws.calls if "UserName" in p}:
        aws.write(Call("iam", "create_access_key", {"UserName": user}))
    ticks = iter((0.0, 0.0, 1.0, 100.0, 100.0))
    SmokeTest(stack, aws, clock=lambda: next(ticks)).announced_within(90)
    return aws


def wrong(aws: EmptyAccount) -> list[str]:
    return list(_wrong(aws))


def _wrong(aws: EmptyAccount) -> Iterator[str]:
    for service, method, parameters in aws.calls:
        for fault in faults_of(service, method, parameters):
            yield f"{service} {method}: {fault}"


def is_legal(name: str) -> bool:
    try:
        stack_name(name)
    except ValueError:
        return False
    return True


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(
    st.from_regex(r"[a-z][a-z0-9-]{1,28}[a-z0-9]", fullmatch=True).filter(is_legal),
    st.sampled_from(sorted(RECEIVING)),
    st.booleans(),
)
@example(LONGEST, max(RECEIVING, key=len), True)
@example(LONGEST, "me-south-1", True)
@example("a" + "-" * 28 + "z", "eu-west-1", True)
@example("a-0", "us-east-1", False)
def test_a_legal_name_is_legal_everywhere(name: str, region: str, own_users: bool) -> None:
    aws = calls(name, region, own_users=own_users)
    assert len({service for service, *_ in aws.calls}) >= 9
    assert len(aws.calls) > 60
    assert wrong(aws) == []


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("ab", "dynamodb create_table"),
        ("mail-", "ses create_receipt_rule"),
        ("Mail", "s3 create_bucket"),
        ("a" * 38, "s3 create_bucket"),
        ("a.b", "sqs create_queue"),
        ("a_b", "s3 create_bucket"),
        ("xn--mail", "s3 create_bucket"),
        ("sthree-mail", "s3 create_bucket"),
    ],
)
def test_what_is_refused_would_break_halfway(name: str, where: str) -> None:
    assert not is_legal(name)
    assert any(fault.startswith(where) for fault in wrong(calls(name)))
