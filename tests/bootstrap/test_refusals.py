"""What AWS refuses is told in words that a person can do something with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore.exceptions as e
import botocore.session
import pytest

from postamt_sync.aws.regions import WITHOUT_OWN_NAMESPACE
from postamt_sync.bootstrap.aws_client import AwsClient, administrator_refusal
from postamt_sync.bootstrap.plan import carry_out, plan
from postamt_sync.bootstrap.resources.bucket import BucketResource
from postamt_sync.bootstrap.resources.function import FunctionResource
from postamt_sync.bootstrap.resources.identity import IdentityResource
from postamt_sync.bootstrap.resources.ses_region import SesRegion
from postamt_sync.bootstrap.stack_resources import resources
from postamt_sync.errors import CredentialsError, MisconfiguredError, PostamtError, TryLaterError
from tests.doubles.account import Account, changes, conflicts, stack
from tests.doubles.moto import REGION, Moto, moto
from tests.support.aws_session import aws_session
from tests.support.campaign import spread

pytestmark = pytest.mark.slow

DENIABLE = (
    "s3:CreateBucket",
    "s3:PutBucketPolicy",
    "s3:PutLifecycleConfiguration",
    "s3:GetBucketNotification",
    "sns:CreateTopic",
    "sqs:CreateQueue",
    "dynamodb:CreateTable",
    "iam:CreateUser",
    "iam:GetRole",
    "ses:CreateReceiptRule",
)


class Denied:
    """An account that enforces policies, and an administrator each who may not do one thing."""

    def __init__(self, emulator: Moto) -> None:
        self.emulator = emulator
        iam = emulator.client("iam")
        self._keys = {}
        for number, action in enumerate(DENIABLE):
            user = f"admin-{number}"
            iam.create_user(UserName=user)
            statements = [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": action, "Resource": "*"},
            ]
            policy = {"Version": "2012-10-17", "Statement": statements}
            iam.put_user_policy(UserName=user, PolicyName=user, PolicyDocument=json.dumps(policy))
            self._keys[action] = iam.create_access_key(UserName=user)["AccessKey"]
        emulator.enforce_policies()

    def aws(self, action: str) -> AwsClient:
        key = self._keys[action]
        session = aws_session(key["AccessKeyId"], key["SecretAccessKey"])
        return AwsClient(
            session, REGION, endpoint=lambda _: self.emulator.url, sleep=lambda _: None
        )


@pytest.fixture(scope="module")
def denied() -> Iterator[Denied]:
    with moto() as emulator:
        yield Denied(emulator)


@pytest.mark.parametrize("action", spread(DENIABLE, 3))
def test_an_action_that_is_missing_is_named(denied: Denied, tmp_path: Path, action: str) -> None:
    aws = denied.aws(action)
    name = f"stack{DENIABLE.index(action)}"
    made = resources(stack(name, (f"{name}.example",)), aws, tmp_path)
    # The emulator takes the signatures of what these ask for wrong.
    made = [
        one for one in made if not isinstance(one, SesRegion | IdentityResource | FunctionResource)
    ]
    with pytest.raises(MisconfiguredError) as raised:
        carry_out(plan(made), aws, lambda *_: None)
    assert raised.value.problem == f"The AWS credentials may not {action}."
    assert "Use those of an administrator, or allow this action" in raised.value.hint


def test_without_credentials_the_ways_to_give_them_are_named(account: Account) -> None:
    core = botocore.session.Session()
    core.get_component("credential_provider").providers.clear()
    session = boto3.Session(region_name=REGION, botocore_session=core)
    aws = AwsClient(session, REGION, endpoint=lambda _: account.emulator.url)
    with pytest.raises(MisconfiguredError, match="There are no AWS credentials") as raised:
        _ = aws.account
    assert "aws sso login" in raised.value.hint


def test_a_profile_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    with pytest.raises(e.ProfileNotFound) as met:
        boto3.Session(region_name=REGION)
    told = administrator_refusal("sts", met.value)
    assert isinstance(told, MisconfiguredError)
    assert "(nowhere)" in told.problem
    assert "AWS_PROFILE" in told.hint


SAYINGS = {
    "ExpiredToken": (CredentialsError, "have expired", "Renew them"),
    "ExpiredTokenException": (CredentialsError, "have expired", "Renew them"),
    "InvalidClientTokenId": (CredentialsError, "does not know these", "AWS_PROFILE"),
    "UnrecognizedClientException": (CredentialsError, "does not know these", "AWS_PROFILE"),
    "Throttling": (TryLaterError, "AWS throttles us at ses:CreateReceiptRule", "Wait a minute"),
    "TooManyRequestsException": (TryLaterError, "throttles us", "goes on where it was"),
    "LimitExceeded": (MisconfiguredError, "A limit of the AWS account", "Service Quotas"),
    "LimitExceededException": (MisconfiguredError, "A limit of the AWS account", "Service Quotas"),
    "RequestTimeTooSkewed": (TryLaterError, "this machine's clock is wrong", "timedatectl"),
    "BucketAlreadyExists": (MisconfiguredError, "taken by another account", "-ACCOUNT-REGION-an"),
    "EntityAlreadyExists": (TryLaterError, "Someone else works", "bootstrap plan"),
    "Strange": (TryLaterError, "AWS refused ses:CreateReceiptRule: Strange: It", "run it again"),
}


@pytest.mark.parametrize("code", SAYINGS)
def test_a_code_has_its_sentences(code: str) -> None:
    kind, problem, hint = SAYINGS[code]
    told = administrator_refusal("ses", error(code, "It is so."))
    assert type(told) is kind
    assert problem in told.problem
    assert hint in told.hint


def test_what_aws_says_is_made_safe() -> None:
    told = administrator_refusal("ses", error("Bad\x1b[2J", "One\nTwo\x1b[2J"))
    assert "\n" not in told.problem
    assert "\x1b" not in told.problem


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("s3", "HeadBucket", "s3:ListBucket"),
        ("s3", "PutBucketEncryption", "s3:PutEncryptionConfiguration"),
        ("s3", "PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        ("s3", "DeleteObjects", "s3:DeleteObject"),
        ("sesv2", "CreateEmailIdentity", "ses:CreateEmailIdentity"),
        ("dynamodb", "UpdateContinuousBackups", "dynamodb:UpdateContinuousBackups"),
    ],
)
def test_an_operation_is_told_as_the_action_that_policies_name(
    service: str, operation: str, action: str
) -> None:
    told = administrator_refusal(service, error("AccessDenied", "Access Denied", operation))
    assert told.problem == f"The AWS credentials may not {action}."


def error(code: str, message: str, operation: str = "CreateReceiptRule") -> e.ClientError:
    said = {"Error": {"Code": code, "Message": message}}
    return e.ClientError(said, operation)  # type: ignore[arg-type] # no more is needed


@pytest.mark.parametrize("status", [404, 405, 501])
@pytest.mark.parametrize("code", ["", "bare"])
def test_a_call_that_an_emulator_lacks_is_no_matter_of_time(status: int, code: str) -> None:
    said = {
        "Error": {"Code": code and str(status), "Message": "Not found"},
        "ResponseMetadata": {"HTTPStatusCode": status, "Endpoint": "http://127.0.0.1:4566"},
    }
    met = e.ClientError(said, "GetAccount")  # type: ignore[arg-type] # no more is needed
    told = administrator_refusal("sesv2", met)
    assert type(told) is MisconfiguredError
    assert "does not know ses:GetAccount" in told.problem
    assert "from http://127.0.0.1:4566" in told.problem
    said["ResponseMetadata"]["Endpoint"] = "https://email.eu-west-1.amazonaws.com"
    at_home = administrator_refusal("sesv2", met)
    assert type(at_home) is (MisconfiguredError if status == 501 else TryLaterError)


def test_an_emulator_that_has_no_such_thing_is_believed(account: Account) -> None:
    with (
        account.refusing("sesv2", "GetAccount", "404", status=404),
        pytest.raises(MisconfiguredError, match="does not know ses:GetAccount"),
    ):
        account.plan(stack())


UNUSABLE = (
    e.UnauthorizedSSOTokenError(),
    e.SSOTokenLoadError(error_msg="expired"),
    e.TokenRetrievalError(provider="sso", error_msg="expired"),
    e.CredentialRetrievalError(provider="process", error_msg="exit 1"),
    e.InvalidConfigError(error_msg="source_profile is not there"),
    e.ConfigParseError(path="config", error="no section"),
)


@pytest.mark.parametrize("met", UNUSABLE, ids=lambda met: type(met).__name__)
def test_credentials_that_cannot_be_had_are_no_matter_of_the_network(
    met: e.BotoCoreError,
) -> None:
    told = administrator_refusal("sts", met)
    assert isinstance(told, MisconfiguredError)
    assert "cannot be obtained" in told.problem


def test_a_network_that_is_not_there_is_tried_later() -> None:
    told = administrator_refusal(
        "sts", e.EndpointConnectionError(endpoint_url="https://sts.example")
    )
    assert isinstance(told, TryLaterError)
    assert "aws.region" in told.hint


def test_a_bucket_of_another_account_is_a_conflict(account: Account) -> None:
    """Nothing of such a bucket can be read, and this is what is told, not that."""
    with (
        account.refusing("s3", "HeadBucket", "403", status=403),
        account.refusing("s3", "GetBucketLifecycleConfiguration", "AccessDenied", status=403),
        account.refusing("s3", "GetBucketNotificationConfiguration", "AccessDenied", status=403),
    ):
        found = account.plan(stack(bucket="mail"))
    (told,) = conflicts(found)
    assert told == "bucket mail: it belongs to another account, or we may not see it."
    assert "postamt-123456789012-eu-west-1-an" in found.conflicts[0][1].remedy


@pytest.mark.parametrize("region", sorted(WITHOUT_OWN_NAMESPACE))
def test_without_a_namespace_of_one_s_own_another_name_is_asked_for(
    account: Account, region: str
) -> None:
    found = plan([BucketResource(stack(region=region), account.aws(region))])
    (told,) = conflicts(found)
    assert told.endswith(f"accounts have no namespace of their own in {region}.")
    remedy = found.conflicts[0][1].remedy
    assert re.search(r"such as postamt-[0-9a-f]{16}, which nobody can guess", remedy)
    drawn = stack(region=region, bucket="postamt-0123456789abcdef")
    assert conflicts(plan([BucketResource(drawn, account.aws(region))])) == []


def test_what_cannot_be_read_is_told_where_there_is_no_conflict(account: Account) -> None:
    account.have(stack())
    refused = account.refusing("s3", "GetBucketLifecycleConfiguration", "AccessDenied", status=403)
    with refused, pytest.raises(PostamtError, match="s3:GetLifecycleConfiguration"):
        account.plan(stack())


def test_a_bucket_in_another_region_is_a_conflict(account: Account) -> None:
    account.aws("eu-central-1").client("s3").create_bucket(
        Bucket="mail", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    found = account.plan(stack(bucket="mail"))
    assert conflicts(found) == ["bucket mail: it lies in eu-central-1."]
    assert "aws.region" in found.conflicts[0][1].remedy


def test_a_full_account_is_told_and_what_was_done_stays(account: Account) -> None:
    with (
        account.refusing("iam", "CreateUser", "LimitExceeded", status=409),
        pytest.raises(MisconfiguredError, match="A limit of the AWS account is reached at iam:"),
    ):
        account.apply(stack())
    assert any("user postamt-sync: create" in line for line in changes(account.plan(stack())))
    account.apply(stack())
    assert changes(account.plan(stack())) == []
