"""Applied once, everything is there; applied again, nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from postamt_sync.bootstrap import policy_document
from postamt_sync.bootstrap.plan import carry_out
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import Account, KilledError, changes, conflicts, stack
from tests.support.campaign import spread

STACKS: dict[str, Stack] = {
    "usual": stack(),
    "two domains": stack(domains=("example.com", "example.org")),
    "without a webhook": stack(public_url=""),
    "with notices of bounces": stack(bounce_notices=True),
    "without a copy for the poll": stack(recent_prefix=""),
    "whole bucket": stack(prefix="", recent_prefix=""),
    "with subdomains": stack(subdomains=("example.com",)),
    "TLS optional": stack(tls_policy="optional"),
    "with archives": stack(restore=True),
    "bucket of another name": stack(bucket="mail-of-ours"),
    "a user for each mailbox": stack(
        smtp_senders=(Addressee("anna", ("example.com",)), Addressee("b", ("b@example.com",)))
    ),
    "routes handed over": stack(
        handed=HandedRoutes((Addressee("anna", ("example.com",), default=True),))
    ),
    "region without SMTP": stack(region="eu-south-1"),
    "the oldest region": stack(region="us-east-1"),
}


@pytest.mark.parametrize("name", spread(STACKS, 3))
def test_a_second_run_writes_nothing(account: Account, name: str) -> None:
    wanted = STACKS[name]
    assert account.apply(wanted, region=wanted.region) > 25
    again = account.plan(wanted, region=wanted.region)
    assert changes(again) == []
    assert conflicts(again) == []
    account.writes.clear()
    carry_out(again, account.aws(wanted.region), lambda *_: None)
    assert account.writes == []


def test_a_plan_writes_nothing(account: Account) -> None:
    assert changes(account.plan(stack()))
    assert account.writes == []


def number_of_writes() -> int:
    """As many as the usual stack takes; the test below sees to it that this stays true."""
    return 35


@pytest.mark.parametrize("nth", spread(range(1, number_of_writes() + 1), 8))
def test_killed_after_any_call_the_next_run_completes_it(account: Account, nth: int) -> None:
    wanted = stack()
    account.kill_after = nth
    with pytest.raises(KilledError):
        account.apply(wanted)
    account.apply(wanted)
    assert changes(account.plan(wanted)) == []
    for user in (wanted.sync_user, wanted.smtp_user):
        (key,) = account.client("iam").list_access_keys(UserName=user)["AccessKeyMetadata"]
        held = account.keys / ("credentials" if user == wanted.sync_user else "smtp-credentials")
        assert key["AccessKeyId"] in held.read_text()


def test_the_kills_above_reach_every_call(account: Account) -> None:
    assert account.apply(stack()) == number_of_writes()


def test_keys_are_for_their_owner_alone(account: Account) -> None:
    account.apply(stack())
    for path in account.keys.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert account.keys.stat().st_mode & 0o777 == 0o700


Drift = Callable[[Any, Stack], object]
"""Changes something at AWS by hand: is given a function that makes clients, and the stack."""

OTHER = policy_document.text(
    policy_document.document({"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"})
)

TRUST = policy_document.text(
    policy_document.document(
        {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        }
    )
)

DRIFTS: dict[str, tuple[Drift, str]] = {
    "versions": (
        lambda c, s: c("s3").put_bucket_versioning(
            Bucket=s.bucket, VersioningConfiguration={"Status": "Suspended"}
        ),
        "versions: suspended → kept",
    ),
    "public access": (
        lambda c, s: c("s3").delete_public_access_block(Bucket=s.bucket),
        "public access: block",
    ),
    "encryption": (
        lambda c, s: c("s3").delete_bucket_encryption(Bucket=s.bucket),
        "encryption: by S3's own keys",
    ),
    "bucket policy": (
        lambda c, s: c("s3").delete_bucket_policy(Bucket=s.bucket),
        "policy: statement PostamtSesPut: create, statement PostamtTlsOnly: create",
    ),
    "tags": (lambda c, s: c("s3").delete_bucket_tagging(Bucket=s.bucket), "tag"),
    "lifecycle": (
        lambda c, s: c("s3").put_bucket_lifecycle_configuration(
            Bucket=s.bucket,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "postamt-archive",
                        "Status": "Enabled",
                        "Filter": {"Prefix": "incoming/"},
                        "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
                    }
                ]
            },
        ),
        (
            "incoming/: GLACIER after 30 days → incoming/: STANDARD_IA after 30 days, "
            "GLACIER_IR after 90 days"
        ),
    ),
    "events": (
        lambda c, s: c("s3").put_bucket_notification_configuration(
            Bucket=s.bucket, NotificationConfiguration={}
        ),
        "objects created in incoming/ to topic postamt: create",
    ),
    "topic policy": (
        lambda c, s: c("sns").set_topic_attributes(
            TopicArn=s.topic_arn,
            AttributeName="Policy",
            AttributeValue='{"Version":"2012-10-17","Statement":[]}',
        ),
        "statement PostamtS3Publish: create",
    ),
    "signature version": (
        lambda c, s: c("sns").set_topic_attributes(
            TopicArn=s.topic_arn, AttributeName="SignatureVersion", AttributeValue="1"
        ),
        "signature version: 1 → 2",
    ),
    "queue retention": (
        lambda c, s: _set_queue(c, s.queue, MessageRetentionPeriod="345600"),
        "message retention, in seconds: 345600 → 1209600",
    ),
    "queue policy": (
        lambda c, s: _set_queue(c, s.dead_letter_queue, Policy=""),
        "policy: statement PostamtTopicSend: create",
    ),
    "queue gone": (
        lambda c, s: c("sqs").delete_queue(QueueUrl=_url(c, s.index_dead_letter_queue)),
        "queue postamt-index-dead: create",
    ),
    "table unprotected": (
        lambda c, s: c("dynamodb").update_table(TableName=s.table, DeletionProtectionEnabled=False),
        "deletion protection: off → on",
    ),
    "table unrecoverable": (
        lambda c, s: c("dynamodb").update_continuous_backups(
            TableName=s.table,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False},
        ),
        "point-in-time recovery: off → on",
    ),
    "trust": (
        lambda c, s: c("iam").update_assume_role_policy(RoleName=s.role, PolicyDocument=TRUST),
        "who may assume it: was changed, restore it",
    ),
    "role policy": (
        lambda c, s: c("iam").delete_role_policy(RoleName=s.role, PolicyName=s.role),
        "policy: create",
    ),
    "log retention": (
        lambda c, s: c("logs").delete_retention_policy(logGroupName=s.log_group),
        "kept for: ever → 30 days",
    ),
    "function code": (
        lambda c, s: c("lambda").update_function_code(FunctionName=s.function, ZipFile=b"other"),
        "code: was changed, upload",
    ),
    "function settings": (
        lambda c, s: c("lambda").update_function_configuration(
            FunctionName=s.function, Timeout=3, MemorySize=128
        ),
        "settings (time limit, in seconds, memory, in MB): was changed, restore it",
    ),
    "function permission": (
        lambda c, s: c("lambda").remove_permission(
            FunctionName=s.function, StatementId="PostamtTopicInvoke"
        ),
        "the topic may call it: create",
    ),
    "function permission for another topic": (
        lambda c, s: _permit(c, s, f"{s.topic_arn}2"),
        "the topic may call it: was changed, restore it",
    ),
    "MAIL FROM": (
        lambda c, s: c("sesv2").put_email_identity_mail_from_attributes(
            EmailIdentity="example.com", MailFromDomain="other.example.com"
        ),
        "MAIL FROM: other.example.com → bounce.example.com",
    ),
    "DKIM": (
        lambda c, s: c("sesv2").put_email_identity_dkim_attributes(
            EmailIdentity="example.com", SigningEnabled=False
        ),
        "DKIM signing: off → on",
    ),
    "rule": (
        lambda c, s: c("ses").update_receipt_rule(
            RuleSetName="postamt",
            Rule={"Name": s.rule, "Enabled": False, "Recipients": ["other.example"]},
        ),
        (
            "enabled: False → True; TLS: None → Require; scanning: None → True; "
            "recipients: other.example → example.com; actions: was changed, restore it"
        ),
    ),
    "no active rule set": (
        lambda c, s: c("ses").set_active_receipt_rule_set(),
        "rule set postamt: activate",
    ),
    "user policy": (
        lambda c, s: c("iam").put_user_policy(
            UserName=s.sync_user,
            PolicyName=s.sync_user,
            PolicyDocument=OTHER,
        ),
        "policy: was changed, restore it",
    ),
    "user gone": (
        lambda c, s: _delete_user(c, s.smtp_user),
        "user postamt-smtp: create",
    ),
    "subscription": (
        lambda c, s: _unsubscribe(c, s, "sqs"),
        "subscription of postamt to topic postamt: create",
    ),
    "raw delivery": (
        lambda c, s: c("sns").set_subscription_attributes(
            SubscriptionArn=_subscription(c, s, "sqs"),
            AttributeName="RawMessageDelivery",
            AttributeValue="true",
        ),
        "raw delivery: on → off",
    ),
}


AT_ONCE = (
    (
        *("versions", "topic policy", "queue retention", "table unprotected", "trust"),
        *("log retention", "function code", "MAIL FROM", "rule", "user policy", "subscription"),
    ),
    (
        *("public access", "signature version", "queue policy", "table unrecoverable"),
        *("role policy", "function settings", "DKIM", "no active rule set", "user gone"),
    ),
    ("encryption", "queue gone", "function permission", "raw delivery"),
    ("bucket policy", "function permission for another topic"),
    ("tags",),
    ("lifecycle",),
    ("events",),
)
"""Of each resource at most one: together they cost as much as one alone."""


@pytest.mark.parametrize("drifted", AT_ONCE)
def test_drift_is_told_in_words_and_fixed(account: Account, drifted: tuple[str, ...]) -> None:
    wanted = stack()
    account.have(wanted)
    for what in drifted:
        drift, _ = DRIFTS[what]
        drift(account.client, wanted)
    told = changes(account.plan(wanted))
    for what in drifted:
        _, message = DRIFTS[what]
        assert message in "\n".join(told), what
    assert len(told) >= len(drifted)
    account.apply(wanted)
    assert changes(account.plan(wanted)) == []


def test_every_drift_is_tried() -> None:
    assert sorted(what for drifted in AT_ONCE for what in drifted) == sorted(DRIFTS)


def _permit(client: Any, wanted: Stack, topic_arn: str) -> None:
    named = {"FunctionName": wanted.function, "StatementId": "PostamtTopicInvoke"}
    client("lambda").remove_permission(**named)
    client("lambda").add_permission(
        **named,
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic_arn,
    )


def _url(client: Any, queue: str) -> str:
    return str(client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


def _set_queue(client: Any, queue: str, **attributes: str) -> None:
    client("sqs").set_queue_attributes(QueueUrl=_url(client, queue), Attributes=attributes)


def _subscription(client: Any, wanted: Stack, protocol: str) -> str:
    listed = client("sns").list_subscriptions_by_topic(TopicArn=wanted.topic_arn)
    return next(s["SubscriptionArn"] for s in listed["Subscriptions"] if s["Protocol"] == protocol)


def _unsubscribe(client: Any, wanted: Stack, protocol: str) -> None:
    client("sns").unsubscribe(SubscriptionArn=_subscription(client, wanted, protocol))


def _delete_user(client: Any, user: str) -> None:
    iam = client("iam")
    for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=user, PolicyName=user)
    iam.delete_user(UserName=user)
