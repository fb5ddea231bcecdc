"""What bootstrap grants is what the index Lambda and the daemon's look-ups need, and no more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from postamt_sync.bootstrap.policies import index_policy, sync_policy
from postamt_sync.bootstrap.policy_document import Document
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.errors import PostamtError
from postamt_sync.index.client import Index
from postamt_sync.index.function import Indexer
from tests.doubles.moto import REGION, Moto, moto
from tests.doubles.notices import MESSAGE_ID, PREFIX, event, receipt, stored
from tests.support.aws_session import aws_session

pytestmark = pytest.mark.slow

STACK = Stack("postamt", "123456789012", REGION, "mail-of-postamt", ("home.example",))


def without(document: Document, sid: str) -> Document:
    """The policy less one statement, so that a test shows that it is needed."""
    statements = [statement for statement in document["Statement"] if statement["Sid"] != sid]
    assert len(statements) == len(document["Statement"]) - 1
    return {**document, "Statement": statements}


def as_enforced(document: Document) -> Document:
    """The policy as the emulator can hold us to it: of DynamoDB it knows actions, no tables."""
    statements = [
        {**statement, "Resource": "*"} if "dynamodb:" in json.dumps(statement) else statement
        for statement in document["Statement"]
    ]
    return {**document, "Statement": statements}


class Account:
    """An emulated account in which IAM is enforced once `enforce` was called."""

    def __init__(self, cloud: Moto) -> None:
        self.cloud = cloud
        cloud.make_table(STACK.table)
        cloud.make_bucket(STACK.bucket)
        self.etag = cloud.client("s3").put_object(
            Bucket=STACK.bucket, Key=PREFIX + MESSAGE_ID, Body=stored()
        )["ETag"]

    def user(self, name: str, policy: Document) -> boto3.Session:
        iam = self.cloud.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(
            UserName=name, PolicyName=name, PolicyDocument=json.dumps(as_enforced(policy))
        )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return aws_session(key["AccessKeyId"], key["SecretAccessKey"])

    def enforce(self) -> None:
        self.cloud.enforce_policies()

    def client(self, session: boto3.Session, service: str) -> Any:
        return session.client(service, endpoint_url=self.cloud.url)

    def indexer(self, session: boto3.Session) -> Indexer:
        dynamodb, s3 = (self.client(session, service) for service in ("dynamodb", "s3"))
        return Indexer(STACK.table, STACK.bucket, STACK.prefix, dynamodb, s3, lambda *_: None)

    def index(self, session: boto3.Session) -> Index:
        return Index(self.client(session, "dynamodb"), STACK.table, STACK.prefix)


@pytest.fixture
def account() -> Iterator[Account]:
    with moto() as cloud:
        yield Account(cloud)


def test_the_lambda_s_role_suffices_and_the_daemon_s_user_reads_what_it_wrote(
    account: Account,
) -> None:
    function = account.user("function", index_policy(STACK))
    box = account.user("box", sync_policy(STACK))
    account.enforce()
    indexer = account.indexer(function)
    indexer.take(event(etag=account.etag.strip('"'), bucket=STACK.bucket))
    indexer.take(receipt(bucket=STACK.bucket))
    known = asyncio.run(account.index(box).envelopes([PREFIX + MESSAGE_ID]))
    assert set(known) == {PREFIX + MESSAGE_ID}


@pytest.mark.parametrize("sid", ["WriteIndex", "ReadHeaders"])
def test_each_grant_of_the_lambda_is_needed(account: Account, sid: str) -> None:
    function = account.user("function", without(index_policy(STACK), sid))
    account.enforce()
    with pytest.raises(ClientError, match="AccessDenied"):
        account.indexer(function).take(event(etag=account.etag.strip('"'), bucket=STACK.bucket))


def test_without_its_grant_the_daemon_says_so(account: Account) -> None:
    box = account.user("box", without(sync_policy(STACK), "ReadIndex"))
    account.enforce()
    with pytest.raises(PostamtError, match="ask the index"):
        asyncio.run(account.index(box).envelopes([PREFIX + MESSAGE_ID]))


def test_the_daemon_cannot_write_the_index(account: Account) -> None:
    box = account.user("box", sync_policy(STACK))
    account.enforce()
    with pytest.raises(ClientError, match="AccessDenied"):
        account.indexer(box).take(receipt(bucket=STACK.bucket))


@pytest.mark.parametrize("document", [index_policy(STACK), sync_policy(STACK)])
def test_only_the_table_itself_is_granted(document: Document) -> None:
    (statement,) = [s for s in document["Statement"] if "dynamodb:" in json.dumps(s)]
    assert statement["Resource"] == "arn:aws:dynamodb:eu-west-1:123456789012:table/postamt"
