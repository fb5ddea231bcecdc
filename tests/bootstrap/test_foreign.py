"""What others have in the account stays as it is, and what would not get on with ours is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from postamt_sync.bootstrap.stack import Stack
from postamt_sync.errors import MisconfiguredError
from tests.doubles.account import ACCOUNT, Account, changes, conflicts, stack
from tests.support.campaign import spread


def make_function(account: Account, name: str, **more: Any) -> None:
    iam = account.client("iam")
    made = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=LAMBDA_MAY)
    account.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=made["Role"]["Arn"],
        Handler="a.b",
        Code={"ZipFile": b"code"},
        **more,
    )


LAMBDA_MAY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"Service": "lambda.amazonaws.com"},
            }
        ],
    }
)


def test_a_bucket_that_was_there_keeps_what_it_has(account: Account) -> None:
    wanted = stack(bucket="family-mail")
    make_bucket(account, "family-mail")
    before = bucket_settings(account, "family-mail")
    account.apply(wanted)
    assert changes(account.plan(wanted)) == []
    assert_holds(bucket_settings(account, "family-mail"), before)
    account.destroy(wanted)
    after = bucket_settings(account, "family-mail")
    assert_holds(after, before)
    assert after["events"]["TopicConfigurations"] == before["events"]["TopicConfigurations"]


def make_bucket(account: Account, name: str) -> None:
    """Make a bucket with a life of its own."""
    s3 = account.client("s3")
    account.emulator.make_bucket(name)
    topic = account.client("sns").create_topic(Name="photographs")["TopicArn"]
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "owner", "Value": "ann"}]})
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{name}/photographs/*",
    }
    policy = {"Version": "2008-10-17", "Id": "theirs", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    s3.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "theirs",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "logs/"},
                    "Expiration": {"Days": 5},
                }
            ]
        },
    )
    s3.put_bucket_notification_configuration(
        Bucket=name,
        NotificationConfiguration={
            "TopicConfigurations": [
                {
                    "Id": "theirs",
                    "TopicArn": topic,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "photos/"}]}},
                }
            ],
        },
    )


def bucket_settings(account: Account, name: str) -> dict[str, Any]:
    s3 = account.client("s3")
    lifecycle = s3.get_bucket_lifecycle_configuration(Bucket=name)
    events = s3.get_bucket_notification_configuration(Bucket=name)
    return {
        "tags": s3.get_bucket_tagging(Bucket=name)["TagSet"],
        "policy": json.loads(s3.get_bucket_policy(Bucket=name)["Policy"]),
        "rules": lifecycle["Rules"],
        "events": {k: v for k, v in events.items() if k != "ResponseMetadata"},
    }


def assert_holds(now: dict[str, Any], before: dict[str, Any]) -> None:
    assert [t for t in before["tags"] if t not in now["tags"]] == []
    assert now["policy"]["Version"] == before["policy"]["Version"]
    assert now["policy"]["Statement"][0] == before["policy"]["Statement"][0]
    assert [r for r in before["rules"] if r not in now["rules"]] == []
    assert now["events"]["TopicConfigurations"][0] == before["events"]["TopicConfigurations"][0]


@pytest.mark.parametrize(
    ("prefix", "event", "is_conflict"),
    [
        ("", "s3:ObjectCreated:*", True),
        ("incoming/", "s3:ObjectCreated:Put", True),
        ("incoming/a", "s3:ObjectCreated:*", True),
        ("in", "s3:ObjectCreated:*", True),
        ("recent/", "s3:ObjectCreated:*", False),
        ("incoming/", "s3:ObjectRemoved:*", False),
    ],
)
def test_events_that_overlap_are_a_conflict(
    account: Account, prefix: str, event: str, is_conflict: bool
) -> None:
    account.emulator.make_bucket("family-mail")
    topic = account.client("sns").create_topic(Name="theirs")["TopicArn"]
    rules = [{"Name": "prefix", "Value": prefix}]
    filter_ = {"Filter": {"Key": {"FilterRules": rules}}} if prefix else {}
    account.client("s3").put_bucket_notification_configuration(
        Bucket="family-mail",
        NotificationConfiguration={
            "TopicConfigurations": [
                {
                    "Id": "theirs",
                    "TopicArn": topic,
                    "Events": [event],
                    **filter_,
                }
            ]
        },
    )
    told = conflicts(account.plan(stack(bucket="family-mail")))
    assert bool(told) == is_conflict
    if told:
        assert "the entry theirs already sends the events" in told[0]


@pytest.mark.parametrize("prefix", ["", "incoming/", "in"])
def test_a_foreign_rule_that_deletes_mail_is_told(account: Account, prefix: str) -> None:
    account.emulator.make_bucket("family-mail")
    rules = [
        {
            "ID": "tidy",
            "Status": "Enabled",
            "Filter": {"Prefix": prefix},
            "Expiration": {"Days": 5},
        }
    ]
    account.client("s3").put_bucket_lifecycle_configuration(
        Bucket="family-mail", LifecycleConfiguration={"Rules": rules}
    )
    told = [note.message for _, note in account.plan(stack(bucket="family-mail")).notes]
    assert any("rule tidy, which is not ours, deletes mail" in message for message in told)


def test_an_identity_that_was_there_is_used_and_never_touched(account: Account) -> None:
    sesv2 = account.client("sesv2")
    sesv2.create_email_identity(EmailIdentity="example.com")
    sesv2.put_email_identity_mail_from_attributes(
        EmailIdentity="example.com", MailFromDomain="theirs.example.com"
    )
    before = sesv2.get_email_identity(EmailIdentity="example.com")
    wanted = stack(bounce_notices=True)
    account.apply(wanted)
    assert changes(account.plan(wanted)) == []
    account.destroy(wanted)
    after = sesv2.get_email_identity(EmailIdentity="example.com")
    for answer in (before, after):
        answer.pop("ResponseMetadata")
    assert after == before
    assert after["Tags"] == []


Make = Callable[[Account, Stack, dict[str, str]], object]


def listed(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def make_table(account: Account, wanted: Stack, tags: dict[str, str]) -> None:
    account.emulator.make_table(wanted.table)
    if tags:
        account.client("dynamodb").tag_resource(ResourceArn=wanted.table_arn, Tags=listed(tags))


NAMESAKES: dict[str, Make] = {
    "topic postamt": lambda a, s, t: a.client("sns").create_topic(Name=s.name, Tags=listed(t)),
    "queue postamt": lambda a, s, t: a.client("sqs").create_queue(QueueName=s.queue, tags=t),
    "queue postamt-index-dead": lambda a, s, t: a.client("sqs").create_queue(
        QueueName=s.index_dead_letter_queue, tags=t
    ),
    "table postamt": make_table,
    "role postamt-index": lambda a, s, t: a.client("iam").create_role(
        RoleName=s.role, AssumeRolePolicyDocument=LAMBDA_MAY, Tags=listed(t)
    ),
    "function postamt-index": lambda a, s, t: make_function(a, s.function, Tags=t),
    "user postamt-sync": lambda a, s, t: a.client("iam").create_user(
        UserName=s.sync_user, Tags=listed(t)
    ),
    "user postamt-smtp": lambda a, s, t: a.client("iam").create_user(
        UserName=s.smtp_user, Tags=listed(t)
    ),
}


@pytest.mark.parametrize(
    ("title", "whose"),
    spread(
        [
            (title, whose)
            for number, title in enumerate(NAMESAKES)
            for whose in (("nobody's", "another's"), ("another's", "nobody's"))[number % 2]
        ],
        2,
    ),
)
def test_a_namesake_is_a_conflict_and_nothing_is_written(
    account: Account, title: str, whose: str
) -> None:
    tags = {"postamt:stack": "other"} if whose == "another's" else {}
    NAMESAKES[title](account, stack(), tags)
    message = "it belongs to the stack other" if tags else "this stack did not make it"
    (told,) = conflicts(account.plan(stack()))
    assert told.startswith(f"{title}: ")
    assert message in told
    with pytest.raises(MisconfiguredError, match=r"Choose another stack\.name"):
        account.apply(stack())
    account.destroy(stack(), delete_mail=stack().bucket)
    assert account.writes == []


def test_two_stacks_do_not_touch_each_other(account: Account) -> None:
    one, other = stack("one", ("one.example",)), stack("other", ("other.example",))
    keys = account.keys
    account.keys = keys / "one"
    account.apply(one)
    account.keys = keys / "other"
    account.apply(other)
    assert changes(account.plan(other)) == []
    account.keys = keys / "one"
    assert changes(account.plan(one)) == []
    account.destroy(one, delete_mail=one.bucket)
    rules = account.client("ses").describe_active_receipt_rule_set()["Rules"]
    assert [rule["Name"] for rule in rules] == ["other"]
    account.keys = keys / "other"
    left = account.plan(other)
    assert (changes(left), conflicts(left)) == ([], [])
    account.destroy(other, delete_mail=other.bucket)
    assert account.client("ses").list_receipt_rule_sets()["RuleSets"] == []


def test_a_bucket_of_another_stack_is_a_conflict(account: Account) -> None:
    account.have(stack("one", ("one.example",)))
    bucket = stack("one").bucket
    told = conflicts(account.plan(stack("other", ("other.example",), bucket=bucket)))
    assert f"bucket {bucket}: it belongs to the stack one." in told
