"""Each stack name that the configuration takes is one that every service takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from postamt_sync.aws.regions import RECEIVING
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import new_bucket
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.config.values import stack_name
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import ACCOUNT
from tests.doubles.empty_account import EmptyAccount, everything
from tests.support.campaign import examples
from tests.support.service_model import faults_of

LONGEST_MAILBOX = "m" * 64
LONGEST = "a" * 30


def calls(name: str, region: str = "eu-west-1", *, own_users: bool = False) -> EmptyAccount:
    """Return an account that was asked for everything of a stack of this name."""
    senders = (Addressee(LONGEST_MAILBOX, ("ann@example.com",)),) if own_users else ()
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
    return everything(stack)


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
@settings(deadline=None, max_examples=examples(25))
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


@pytest.mark.slow
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


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        *(("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")),
        *(("eusc-de-east-1", "aws-eusc"), ("eu-west-1", "aws")),
    ],
)
def test_every_arn_names_the_partition_of_its_region(region: str, partition: str) -> None:
    stack = Stack("postamt", ACCOUNT, region, "mail", ("example.com",))
    seal = SealStack("postamt", ACCOUNT, region, "mail")
    webmail = WebmailStack("postamt", ACCOUNT, region, "webmail.example.com", "mail")
    for part in (stack, seal, webmail):
        names = [name for name in dir(type(part)) if {"arn"} & set(name.strip("_").split("_"))]
        arns = [getattr(part, name) for name in names if not name.startswith("_")]
        assert len(arns) > 8
        for arn in (arn("x") if callable(arn) else arn for arn in arns):
            assert arn.startswith(f"arn:{partition}:")
