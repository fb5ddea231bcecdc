"""AWS tells what it was told in another way than the emulator, and later: none of it is drift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.doubles.account import Account, changes, conflicts, stack

STACK = stack()
Answer = dict[str, Any]


def lifecycle(answer: Answer) -> None:
    for rule in answer["Rules"]:
        rule["NoncurrentVersionTransitions"] = []
        if "Expiration" in rule:
            rule["Expiration"]["ExpiredObjectDeleteMarker"] = False
    answer["Rules"].reverse()


def bare_prefix(answer: Answer) -> None:
    for rule in answer["Rules"]:
        if rule["Filter"] == {"Prefix": ""}:
            rule["Filter"] = {}


def capitals(answer: Answer) -> None:
    for entry in answer["TopicConfigurations"]:
        for rule in entry.get("Filter", {}).get("Key", {}).get("FilterRules", []):
            rule["Name"] = rule["Name"].capitalize()


def rule_extras(answer: Answer) -> None:
    for rule in answer.get("Rules", []):
        for action in rule["Actions"]:
            action["S3Action"].setdefault("KmsKeyArn", "")
        rule["Recipients"].reverse()


def pending(answer: Answer) -> None:
    answer["Configuration"].update(State="Pending", StateReasonCode="Creating", LastModified="x")


def creating(answer: Answer) -> None:
    answer["Table"].update(TableStatus="CREATING")
    for index in answer["Table"].get("GlobalSecondaryIndexes", []):
        index.update(IndexStatus="CREATING")


TOLD: dict[str, tuple[str, str, Callable[[Answer], None]]] = {
    "lifecycle": ("s3", "GetBucketLifecycleConfiguration", lifecycle),
    "events": ("s3", "GetBucketNotificationConfiguration", capitals),
    "rule": ("ses", "DescribeActiveReceiptRuleSet", rule_extras),
    "function": ("lambda", "GetFunction", pending),
    "table": ("dynamodb", "DescribeTable", creating),
}


@pytest.mark.parametrize("what", TOLD)
def test_another_spelling_from_aws_is_no_drift(account: Account, what: str) -> None:
    wanted = stack(domains=("example.com", "example.org"))
    account.have(wanted)
    with account.answering(*TOLD[what]):
        found = account.plan(wanted)
    assert (changes(found), conflicts(found)) == ([], [])


def test_a_rule_for_the_whole_bucket_may_come_back_without_a_prefix(account: Account) -> None:
    wanted = stack(prefix="", recent_prefix="")
    account.have(wanted)
    with account.answering("s3", "GetBucketLifecycleConfiguration", bare_prefix):
        assert changes(account.plan(wanted)) == []


def put(account: Account, operation: str, *answering: Any) -> dict[str, Any]:
    """Apply, and return what was put with `operation`."""
    asked: dict[str, Any] = {}

    def before(name: str, parameters: dict[str, Any]) -> None:
        if name == operation:
            asked.update(parameters)

    account.before = before
    with account.answering(*answering):
        account.apply(STACK)
    return asked


def test_an_old_rule_of_others_is_put_with_a_filter(account: Account) -> None:
    """S3 takes no prefix beside the filter once another rule has a filter."""
    account.have(STACK)
    old = {"ID": "old", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 3}}

    def told(answer: Answer) -> None:
        answer["Rules"] = [old]
        answer["TransitionDefaultMinimumObjectSize"] = "varies_by_storage_class"

    asked = put(
        account,
        "PutBucketLifecycleConfiguration",
        "s3",
        "GetBucketLifecycleConfiguration",
        told,
    )
    rules = asked["LifecycleConfiguration"]["Rules"]
    assert rules[0] == {
        "ID": "old",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 3},
    }
    assert [rule["ID"] for rule in rules] == ["old", "postamt-archive", "postamt-recent"]
    assert asked["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"


def test_events_of_others_are_put_as_s3_takes_them(account: Account) -> None:
    account.have(STACK)
    theirs = {
        "Id": "theirs",
        "QueueArn": "arn:aws:sqs:eu-west-1:123456789012:theirs",
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "photos/"}]}},
    }

    def told(answer: Answer) -> None:
        answer.pop("TopicConfigurations", None)
        answer["QueueConfigurations"] = [theirs]
        answer["EventBridgeConfiguration"] = {}

    asked = put(
        account,
        "PutBucketNotificationConfiguration",
        "s3",
        "GetBucketNotificationConfiguration",
        told,
    )["NotificationConfiguration"]
    rules = [{"Name": "prefix", "Value": "photos/"}]
    assert asked["QueueConfigurations"] == [{**theirs, "Filter": {"Key": {"FilterRules": rules}}}]
    assert asked["EventBridgeConfiguration"] == {}
    assert [entry["Id"] for entry in asked["TopicConfigurations"]] == ["postamt-postamt"]


def test_a_subscription_that_is_gone_and_still_listed_is_made_again(account: Account) -> None:
    account.have(STACK)

    def gone(answer: Answer) -> None:
        for one in answer["Subscriptions"]:
            one["SubscriptionArn"] = "Deleted"

    with account.answering("sns", "ListSubscriptionsByTopic", gone):
        assert changes(account.plan(STACK)) == [
            "subscription of postamt to topic postamt: create",
            "subscription of function:postamt-index to topic postamt: create",
        ]


def test_a_table_that_dynamodb_still_makes_is_asked_to_be_recoverable(account: Account) -> None:
    account.have(STACK)
    with account.refusing("dynamodb", "DescribeContinuousBackups", "TableNotFoundException"):
        (told,) = changes(account.plan(STACK))
    assert told == "table postamt: point-in-time recovery: off → on"
