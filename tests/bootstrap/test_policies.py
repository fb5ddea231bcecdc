"""What the stack's users may do is what the daemon and mail clients do, and nothing else.

The emulator holds them to actions and resources; conditions, which it does not know, are read off
the documents; a linter judges all of them.
"""

from __future__ import annotations

import configparser
import datetime as dt
import fnmatch
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from postamt_sync.bootstrap.policies import index_policy, smtp_policy, sync_policy
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import ACCOUNT, Account, stack
from tests.doubles.moto import Moto, moto
from tests.support.aws_session import aws_session

STACK = stack(domains=("example.com", "example.org"))
THEN = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
OTHER_BUCKET = "other-bucket"
ANN, FRIEND = "ann@example.com", "friend@else.example"

Ask = tuple[str, str, dict[str, Any]]
"""Service, operation, parameters."""


class Enforced:
    """An account with the stack in it, which has enforced its policies since."""

    def __init__(self, emulator: Moto, keys: Path) -> None:
        self.emulator = emulator
        account = Account(emulator).begin(keys)
        account.apply(STACK)
        client = account.client
        emulator.make_bucket(OTHER_BUCKET)
        emulator.make_table("other")
        client("sqs").create_queue(QueueName="other")
        self._know_more_than_the_domains(client("sesv2"))
        client("sns").create_topic(Name="other")
        for bucket in (STACK.bucket, OTHER_BUCKET):
            for key in ("incoming/one", "elsewhere/one"):
                client("s3").put_object(Bucket=bucket, Key=key, Body=b"mail")
        _as_user(client("iam"), STACK.role)
        for user in (STACK.sync_user, STACK.smtp_user, STACK.role):
            _as_enforced(client("iam"), user)
        box = configparser.ConfigParser(interpolation=None)
        box.read(keys / "credentials")
        key = box["default"]
        self.box = _session(key["aws_access_key_id"], key["aws_secret_access_key"])
        iam = client("iam")
        # Its secret is not kept: another key of the same user.
        iam_key = iam.create_access_key(UserName=STACK.smtp_user)["AccessKey"]
        self.mail_client = _session(iam_key["AccessKeyId"], iam_key["SecretAccessKey"])
        own = iam.create_access_key(UserName=STACK.role)["AccessKey"]
        self.function = _session(own["AccessKeyId"], own["SecretAccessKey"])
        self._clients: dict[tuple[int, str], Any] = {}
        emulator.enforce_policies()

    @staticmethod
    def _know_more_than_the_domains(sesv2: Any) -> None:
        """Let SES know addresses too, and one of our domains have a default configuration set."""
        sesv2.create_configuration_set(ConfigurationSetName="main")
        for address in (ANN, FRIEND):
            sesv2.create_email_identity(EmailIdentity=address)
        sesv2.put_email_identity_configuration_set_attributes(
            EmailIdentity="example.org", ConfigurationSetName="main"
        )

    def ask(self, session: boto3.Session, ask: Ask) -> str:
        """Return "denied" where policies refuse it; a thing that is not there is no refusal."""
        service, operation, parameters = ask
        if (id(session), service) not in self._clients:
            client = session.client(service, endpoint_url=self.emulator.url)
            self._clients[id(session), service] = client
        try:
            getattr(self._clients[id(session), service], operation)(**parameters)
        except ClientError as error:
            if "not authorized to perform" in str(error) or "AccessDenied" in str(error):
                return "denied"
        return ""

    def queue(self, name: str) -> str:
        return f"{self.emulator.url}/{ACCOUNT}/{name}"


def _as_user(iam: Any, role: str) -> None:
    """Give a user of the role's name what the role may do: nobody can be Lambda here."""
    held = iam.get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"]
    iam.create_user(UserName=role)
    iam.put_user_policy(UserName=role, PolicyName=role, PolicyDocument=json.dumps(held))


def _as_enforced(iam: Any, user: str) -> None:
    """Write the policy as the emulator can hold a user to it.

    Of DynamoDB, SNS and logs it knows actions and no resources; CloudWatch it calls by its
    endpoint.
    """
    named = {"UserName": user, "PolicyName": user}
    policy = iam.get_user_policy(**named)["PolicyDocument"]
    for statement in policy["Statement"]:
        actions = json.dumps(statement["Action"])
        if any(service in actions for service in ("dynamodb:", "logs:", "sns:")):
            statement["Resource"] = "*"
    written = json.dumps(policy).replace('"cloudwatch:', '"monitoring:')
    iam.put_user_policy(**named, PolicyDocument=written)


def _session(aws_access_key_id: str, aws_secret_access_key: str) -> boto3.Session:
    return aws_session(aws_access_key_id, aws_secret_access_key)


@pytest.fixture(scope="module")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Enforced]:
    with moto() as emulator:
        yield Enforced(emulator, tmp_path_factory.mktemp("keys"))


def asks(enforced: Enforced) -> dict[str, Ask]:
    """Everything that the daemon asks of AWS."""
    queue, dead = enforced.queue(STACK.queue), enforced.queue(STACK.dead_letter_queue)
    bucket = {"Bucket": STACK.bucket}
    arn = f"{STACK.topic_arn}:00000000-0000-0000-0000-000000000000"
    metric = {"Namespace": "AWS/SES", "MetricName": "PublishFailure"}
    return {
        "list the archive": ("s3", "list_objects_v2", {**bucket, "Prefix": "incoming/"}),
        "list what is recent": ("s3", "list_objects_v2", {**bucket, "Prefix": "recent/"}),
        "get a mail": ("s3", "get_object", {**bucket, "Key": "incoming/one"}),
        "receive": ("sqs", "receive_message", {"QueueUrl": queue, "WaitTimeSeconds": 0}),
        "receive the dead": ("sqs", "receive_message", {"QueueUrl": dead, "WaitTimeSeconds": 0}),
        "count": ("sqs", "get_queue_attributes", {"QueueUrl": queue, "AttributeNames": ["All"]}),
        # The daemon does both in batches, for which SQS asks the same rights.
        "delete": ("sqs", "delete_message", {"QueueUrl": queue, "ReceiptHandle": "handle"}),
        "let go": (
            "sqs",
            "change_message_visibility",
            {"QueueUrl": queue, "ReceiptHandle": "handle", "VisibilityTimeout": 0},
        ),
        "subscribe": (
            "sns",
            "subscribe",
            {"TopicArn": STACK.topic_arn, "Protocol": "https", "Endpoint": STACK.public_url},
        ),
        "confirm": ("sns", "confirm_subscription", {"TopicArn": STACK.topic_arn, "Token": "t"}),
        "look": ("sns", "get_subscription_attributes", {"SubscriptionArn": arn}),
        "mend": (
            "sns",
            "set_subscription_attributes",
            {
                "SubscriptionArn": arn,
                "AttributeName": "DeliveryPolicy",
                "AttributeValue": "{}",
            },
        ),
        "envelopes": (
            "dynamodb",
            "batch_get_item",
            {"RequestItems": {STACK.table: {"Keys": [{"message_id": {"S": "one"}}]}}},
        ),
        "metrics": ("cloudwatch", "list_metrics", metric),
        "hours": (
            "cloudwatch",
            "get_metric_statistics",
            {
                **metric,
                "StartTime": THEN - dt.timedelta(hours=2),
                "EndTime": THEN,
                "Period": 3600,
                "Statistics": ["Sum"],
            },
        ),
    }


REFUSED: dict[str, Ask] = {
    "put a mail": (
        "s3",
        "put_object",
        {"Bucket": STACK.bucket, "Key": "incoming/two", "Body": b""},
    ),
    "delete a mail": ("s3", "delete_object", {"Bucket": STACK.bucket, "Key": "incoming/one"}),
    "get from elsewhere": ("s3", "get_object", {"Bucket": STACK.bucket, "Key": "elsewhere/one"}),
    "get from another bucket": (
        "s3",
        "get_object",
        {"Bucket": OTHER_BUCKET, "Key": "incoming/one"},
    ),
    "list another bucket": ("s3", "list_objects_v2", {"Bucket": OTHER_BUCKET}),
    "read the bucket's policy": ("s3", "get_bucket_policy", {"Bucket": STACK.bucket}),
    "let mail age": ("s3", "delete_bucket_lifecycle", {"Bucket": STACK.bucket}),
    "list buckets": ("s3", "list_buckets", {}),
    "publish": ("sns", "publish", {"TopicArn": STACK.topic_arn, "Message": "no"}),
    "delete the topic": ("sns", "delete_topic", {"TopicArn": STACK.topic_arn}),
    "write a row": (
        "dynamodb",
        "put_item",
        {"TableName": STACK.table, "Item": {"message_id": {"S": "one"}}},
    ),
    "scan": ("dynamodb", "scan", {"TableName": STACK.table}),
    "delete the table": ("dynamodb", "delete_table", {"TableName": STACK.table}),
    "see users": ("iam", "list_users", {}),
    "make a key": ("iam", "create_access_key", {"UserName": STACK.sync_user}),
    "change a policy": (
        "iam",
        "put_user_policy",
        {"UserName": STACK.sync_user, "PolicyName": "more", "PolicyDocument": "{}"},
    ),
    "see rules": ("ses", "describe_active_receipt_rule_set", {}),
    "send": (
        "ses",
        "send_raw_email",
        {"Source": ANN, "RawMessage": {"Data": b"Subject: no\r\n\r\n"}},
    ),
}
QUEUES = {
    "receive from another queue": ("receive_message", "other", {"WaitTimeSeconds": 0}),
    "receive the index's dead": (
        "receive_message",
        STACK.index_dead_letter_queue,
        {"WaitTimeSeconds": 0},
    ),
    "send to the queue": ("send_message", STACK.queue, {"MessageBody": "no"}),
    "purge the queue": ("purge_queue", STACK.queue, {}),
}


@pytest.mark.slow
def test_the_daemon_may_do_all_that_it_does(enforced: Enforced) -> None:
    every = asks(enforced).items()
    assert [what for what, ask in every if enforced.ask(enforced.box, ask)] == []


@pytest.mark.parametrize("what", REFUSED)
def test_the_box_at_home_is_refused_all_else(enforced: Enforced, what: str) -> None:
    assert enforced.ask(enforced.box, REFUSED[what]) == "denied"


@pytest.mark.parametrize("what", QUEUES)
def test_the_box_at_home_has_its_queues_only(enforced: Enforced, what: str) -> None:
    operation, queue, more = QUEUES[what]
    ask = ("sqs", operation, {"QueueUrl": enforced.queue(queue), **more})
    assert enforced.ask(enforced.box, ask) == "denied"


def lists(prefix: str | None) -> bool:
    """Tell whether the box may make a listing of this prefix (IAM, "StringLike")."""
    (listing,) = [s for s in sync_policy(STACK)["Statement"] if s["Action"] == "s3:ListBucket"]
    assert list(listing["Condition"]) == ["StringLike"]
    patterns = listing["Condition"]["StringLike"]["s3:prefix"]
    return prefix is not None and any(fnmatch.fnmatchcase(prefix, p) for p in patterns)


def test_the_box_lists_below_its_prefixes_only() -> None:
    assert all(map(lists, ("incoming/", "incoming/4k1s0v", "recent/", "recent/4k1s0v")))
    assert not any(map(lists, (None, "", "i", "incoming", "elsewhere/", "recent")))


@pytest.mark.parametrize("changed", [{}, {"restore": True}, {"recent_prefix": ""}])
def test_no_condition_holds_where_its_key_is_missing(changed: dict[str, Any]) -> None:
    whole = replace(STACK, public_url="https://home.example.com/sns", **changed)
    for policy in (sync_policy(whole), smtp_policy(whole), index_policy(whole)):
        for statement in policy["Statement"]:
            for operator in statement.get("Condition", {}):
                assert not operator.endswith("IfExists"), statement["Sid"]
                assert operator != "Null", statement["Sid"]


def test_subscriptions_are_looked_after_in_this_region_only() -> None:
    document = sync_policy(replace(STACK, public_url="https://home.example.com/sns"))
    every = [s for s in document["Statement"] if s["Resource"] == "*"]
    assert {s["Sid"] for s in every} == {"ReadMetrics", "LookAfterWebhook"}
    (found,) = [s for s in every if s["Sid"] == "LookAfterWebhook"]
    assert found["Action"] == ["sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"]
    assert found["Condition"] == {"StringEquals": {"aws:RequestedRegion": STACK.region}}
    without = {s["Sid"] for s in sync_policy(replace(STACK, public_url=""))["Statement"]}
    assert not any("Webhook" in sid for sid in without)


def test_a_mail_client_sends_and_does_nothing_else(enforced: Enforced) -> None:
    refused = {
        what for what, ask in REFUSED.items() if enforced.ask(enforced.mail_client, ask) == "denied"
    }
    assert refused == REFUSED.keys() - {"send"}
    every = asks(enforced).items()
    allowed = [what for what, ask in every if not enforced.ask(enforced.mail_client, ask)]
    assert allowed == []


def test_the_index_function_does_its_work_and_nothing_else(enforced: Enforced) -> None:
    named = {"logGroupName": STACK.log_group, "logStreamName": "one"}
    item = {"TableName": STACK.table, "Key": {"message_id": {"S": "one"}}}
    dead = enforced.queue(STACK.index_dead_letter_queue)
    work: dict[str, Ask] = {
        "look": ("dynamodb", "get_item", item),
        "write": ("dynamodb", "update_item", item),
        "read": ("s3", "get_object", {"Bucket": STACK.bucket, "Key": "incoming/one"}),
        "list": ("s3", "list_objects_v2", {"Bucket": STACK.bucket}),
        "begin a log": ("logs", "create_log_stream", named),
        "log": (
            "logs",
            "put_log_events",
            {**named, "logEvents": [{"timestamp": 1, "message": "m"}]},
        ),
        "tell of failures": ("sqs", "send_message", {"QueueUrl": dead, "MessageBody": "m"}),
    }
    assert [what for what, ask in work.items() if enforced.ask(enforced.function, ask)] == []
    others: dict[str, Ask] = {
        "delete a row": ("dynamodb", "delete_item", item),
        "query": (
            "dynamodb",
            "query",
            {"TableName": STACK.table, "KeyConditionExpression": "a = b"},
        ),
        "read its failures": ("sqs", "receive_message", {"QueueUrl": dead}),
        "read the arrivals": ("sqs", "receive_message", {"QueueUrl": enforced.queue(STACK.queue)}),
        "tell of mail": (
            "sqs",
            "send_message",
            {"QueueUrl": enforced.queue(STACK.queue), "MessageBody": "m"},
        ),
        "read logs": ("logs", "get_log_events", named),
        "delete logs": ("logs", "delete_log_group", {"logGroupName": STACK.log_group}),
        "be another": ("sts", "assume_role", {"RoleArn": STACK.role_arn, "RoleSessionName": "me"}),
    }
    asked = {**REFUSED, **others}
    allowed = [what for what, ask in asked.items() if enforced.ask(enforced.function, ask) == ""]
    assert allowed == []


def test_the_index_function_writes_lines_reads_the_routes_and_touches_no_other_table() -> None:
    everyone = HandedRoutes((Addressee("ann", (ANN,), default=True),))
    found = index_policy(replace(STACK, handed=everyone))["Statement"]
    rights = {s["Sid"]: s for s in found if "dynamodb:" in str(s["Action"])}
    assert {sid: (s["Action"], s["Resource"]) for sid, s in rights.items()} == {
        "ReadRoutes": ("dynamodb:GetItem", STACK.lists_arn),
        "WriteLists": (["dynamodb:DeleteItem", "dynamodb:PutItem"], STACK.lists_arn),
        "WriteIndex": (["dynamodb:GetItem", "dynamodb:UpdateItem"], STACK.table_arn),
    }
    only_if = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["#routes"]}}
    assert rights["ReadRoutes"]["Condition"] == only_if
    without = {s["Sid"] for s in index_policy(STACK)["Statement"]}
    assert without == {s["Sid"] for s in found} - {"ReadRoutes", "WriteLists"}


@pytest.mark.parametrize(
    ("sender", "recipient"),
    [(ANN, "bob@example.com"), ("bob@example.com", FRIEND), ("ben@example.org", "bob@example.com")],
)
def test_a_mail_client_sends_whatever_else_ses_asks_for(
    enforced: Enforced, sender: str, recipient: str
) -> None:
    mail = f"From: {sender}\r\nTo: {recipient}\r\n\r\nHello\r\n".encode()
    ask = ("ses", "send_raw_email", {"RawMessage": {"Data": mail}})
    assert enforced.ask(enforced.mail_client, ask) == ""
    assert enforced.ask(enforced.box, ask) == "denied"
