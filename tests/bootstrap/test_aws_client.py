"""How AWS is asked: as the bucket's owner, guarded, with patience, at SES's pace."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from postamt_sync.bootstrap.aws_client import (
    PATIENCE_SECONDS,
    SES_SECONDS,
    AwsClient,
    ChangedMeanwhileError,
)
from postamt_sync.bootstrap.change import Call
from postamt_sync.bootstrap.plan import carry_out
from postamt_sync.errors import MisconfiguredError, TryLaterError
from tests.doubles.account import Account, changes, stack
from tests.doubles.moto import REGION
from tests.support.aws_session import aws_session
from tests.support.campaign import spread

NOT_YET = {
    "ses CreateReceiptRule": "InvalidS3Configuration",
    "lambda CreateFunction": "InvalidParameterValueException",
    "s3 PutBucketNotificationConfiguration": "InvalidArgument",
    "sns Subscribe": "NotFound",
    "dynamodb UpdateContinuousBackups": "TableNotFoundException",
    "iam PutRolePolicy": "NoSuchEntity",
    "lambda AddPermission": "ResourceConflictException",
}


def test_every_question_about_the_bucket_names_its_owner(account: Account) -> None:
    without: set[str] = set()

    def before(operation: str, parameters: dict[str, Any]) -> None:
        if "Bucket" in parameters and "ExpectedBucketOwner" not in parameters:
            without.add(operation)

    account.before = before
    account.apply(stack())
    account.plan(stack())
    account.destroy(stack(), delete_mail=stack().bucket)
    assert without == {"CreateBucket"}, "which knows no such parameter"


@pytest.mark.parametrize("what", spread(NOT_YET, 2))
def test_what_aws_has_not_heard_of_yet_is_waited_for(account: Account, what: str) -> None:
    service, operation = what.split()
    with account.refusing(service, operation, NOT_YET[what], times=3):
        account.apply(stack())
    assert len(account.pauses) == 3
    assert account.pauses == sorted(account.pauses)
    assert changes(account.plan(stack())) == []


@pytest.mark.parametrize("what", spread(reversed(NOT_YET), 4))
def test_waiting_for_aws_ends_in_try_later(account: Account, what: str) -> None:
    service, operation = what.split()
    with (
        account.refusing(service, operation, NOT_YET[what]),
        pytest.raises(TryLaterError, match=f"{service}:{operation.removesuffix('Configuration')}"),
    ):
        account.apply(stack())
    assert PATIENCE_SECONDS <= sum(account.pauses) < PATIENCE_SECONDS + 20
    account.apply(stack())
    assert changes(account.plan(stack())) == []


class Lacking:
    """An emulator that has no such path, and says so as AWS says that a thing is not there."""

    def __init__(self, wire: Wire) -> None:
        self.asked = 0
        self.aws = wire.aws("http://127.0.0.1:9")
        for service in ("sesv2", "lambda", "route53"):
            self.aws.client(service).meta.events.register(f"before-call.{service}", self._answer)

    def _answer(self, **_: Any) -> Any:
        self.asked += 1
        error = {"Code": "NotFoundException", "Message": "Unknown SES v2 path: PUT /v2/x"}
        about = {"HTTPStatusCode": 404}
        answer = AWSResponse("", 404, {}, None)
        return answer, {"Error": error, "ResponseMetadata": about}


def test_a_path_that_an_emulator_lacks_is_not_waited_for_and_no_missing_thing() -> None:
    wire = Wire()
    lacking = Lacking(wire)
    put = Call(
        "sesv2",
        "put_email_identity_mail_from_attributes",
        {"EmailIdentity": "example.com", "MailFromDomain": "bounce.example.com"},
        retry_on=("NotFoundException",),
    )
    with pytest.raises(MisconfiguredError, match="does not know ses:PutEmailIdentityMailFrom"):
        lacking.aws.write(put)
    missing = ("NotFoundException",)
    with pytest.raises(MisconfiguredError, match="does not know ses:GetEmailIdentity"):
        lacking.aws.read("sesv2", "get_email_identity", missing=missing, EmailIdentity="x.example")
    with pytest.raises(MisconfiguredError, match="does not know lambda:ListFunctions"):
        lacking.aws.pages("lambda", "list_functions", "Functions", missing=missing)
    assert lacking.asked == 3
    assert wire.now == 100.0


def test_what_does_not_pass_by_itself_is_not_waited_for(account: Account) -> None:
    refused = account.refusing("sns", "CreateTopic", "InternalStrangeness")
    with refused, pytest.raises(TryLaterError):
        account.apply(stack())
    assert account.pauses == []


THEIRS = {
    "Sid": "Theirs",
    "Effect": "Deny",
    "Principal": "*",
    "Action": "*",
    "Resource": "*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
OTHERS = {"Version": "2012-10-17", "Statement": [THEIRS]}
BARE = {"Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": 3}}

Meddle = Callable[[Any], object]
MEDDLERS: dict[str, tuple[str, Meddle, Meddle]] = {
    "the policy of bucket": (
        "PutBucketPolicy",
        lambda c: c("s3").delete_bucket_policy(Bucket=stack().bucket),
        lambda c: c("s3").put_bucket_policy(
            Bucket=stack().bucket,
            Policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "s3:DeleteBucket",
                            "Resource": stack().bucket_arn,
                        }
                    ],
                }
            ),
        ),
    ),
    "the lifecycle of bucket": (
        "PutBucketLifecycleConfiguration",
        lambda c: c("s3").delete_bucket_lifecycle(Bucket=stack().bucket),
        lambda c: c("s3").put_bucket_lifecycle_configuration(
            Bucket=stack().bucket, LifecycleConfiguration={"Rules": [{"ID": "new", **BARE}]}
        ),
    ),
    "the events of bucket": (
        "PutBucketNotificationConfiguration",
        lambda c: c("s3").put_bucket_notification_configuration(
            Bucket=stack().bucket, NotificationConfiguration={}
        ),
        lambda c: c("s3").put_bucket_notification_configuration(
            Bucket=stack().bucket,
            NotificationConfiguration={
                "TopicConfigurations": [
                    {
                        "Id": "new",
                        "TopicArn": stack().topic_arn,
                        "Events": ["s3:ObjectRemoved:*"],
                    }
                ]
            },
        ),
    ),
    "the policy of topic": (
        "SetTopicAttributes",
        lambda c: _set_topic(c, OTHERS),
        lambda c: _set_topic(c, {**OTHERS, "Id": "new"}),
    ),
    "the policy of queue": (
        "SetQueueAttributes",
        lambda c: _set_queue(c, OTHERS),
        lambda c: _set_queue(c, {**OTHERS, "Id": "new"}),
    ),
}


def _set_topic(client: Any, policy: dict[str, Any]) -> None:
    client("sns").set_topic_attributes(
        TopicArn=stack().topic_arn, AttributeName="Policy", AttributeValue=json.dumps(policy)
    )


def _set_queue(client: Any, policy: dict[str, Any]) -> None:
    url = client("sqs").get_queue_url(QueueName="postamt")["QueueUrl"]
    client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})


@pytest.mark.parametrize("what", MEDDLERS)
def test_what_was_changed_since_it_was_read_is_not_written_over(
    account: Account, what: str
) -> None:
    operation, before, meanwhile = MEDDLERS[what]
    account.have(stack())
    before(account.client)
    found = account.plan(stack())
    assert found.changes
    meanwhile(account.client)
    account.writes.clear()
    with pytest.raises(ChangedMeanwhileError, match="was changed by someone else") as raised:
        carry_out(found, account.aws(), lambda *_: None)
    assert raised.value.problem.lower().startswith(what)
    assert operation not in account.writes
    account.apply(stack())
    assert changes(account.plan(stack())) == []


class Wire:
    """Answers in place of the network, on a clock that only sleeping moves on."""

    def __init__(self) -> None:
        self.now = 100.0
        self.sent: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def aws(self, endpoint: str | None) -> AwsClient:
        session = aws_session()
        aws = AwsClient(
            session, REGION, endpoint=lambda _: endpoint, sleep=self.sleep, clock=self.clock
        )
        aws.client("ses").meta.events.register("before-send.ses", self.answer(EMPTY_XML))
        aws.client("sesv2").meta.events.register("before-send.sesv2", self.answer(b"{}"))
        return aws

    def answer(self, body: bytes) -> Callable[..., AWSResponse]:
        def answer(request: Any, **_: Any) -> AWSResponse:
            self.sent.append(self.now)
            return AWSResponse(request.url, 200, {}, Raw(body))

        return answer


class Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self._body]


EMPTY_XML = (
    b'<DescribeActiveReceiptRuleSetResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/">'
    b"<DescribeActiveReceiptRuleSetResult/></DescribeActiveReceiptRuleSetResponse>"
)


def ask_ses(aws: AwsClient) -> None:
    for _ in range(2):
        aws.read("ses", "describe_active_receipt_rule_set")
        aws.read("sesv2", "get_account")


def test_ses_is_asked_once_a_second_over_both_its_apis() -> None:
    wire = Wire()
    ask_ses(wire.aws(None))
    gaps = [after - before for before, after in zip(wire.sent, wire.sent[1:], strict=False)]
    assert gaps == pytest.approx([SES_SECONDS] * 3)


def test_one_who_waited_anyway_is_not_held_up() -> None:
    wire = Wire()
    aws = wire.aws(None)
    aws.read("sesv2", "get_account")
    wire.now += 5
    aws.read("sesv2", "get_account")
    assert wire.sent == [100.0, 105.0]


def test_an_emulator_is_asked_at_once() -> None:
    wire = Wire()
    ask_ses(wire.aws("http://127.0.0.1:9"))
    assert wire.sent == [100.0] * 4


def test_what_is_told_only_once_is_kept_before_anything_else(account: Account) -> None:
    kept: list[Any] = []
    account.client("iam").create_user(UserName="ann")
    make = Call("iam", "create_access_key", {"UserName": "ann"}, on_response=kept.append)
    account.aws().write(make)
    assert kept[0]["AccessKey"]["SecretAccessKey"]
    assert "keep" not in repr(make)
