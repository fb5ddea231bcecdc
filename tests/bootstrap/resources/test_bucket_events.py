"""The events of a bucket: what comes is announced, and what a webmail sends where one is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from postamt_sync.bootstrap.plan import carry_out, plan, plan_removal
from postamt_sync.bootstrap.resources.bucket_events import BucketEventsResource
from postamt_sync.bootstrap.stack import Stack
from tests.doubles.account import Account, stack
from tests.doubles.webmail_account import WEBMAIL

BUCKET = "mail-of-someone"


@pytest.fixture
def bucket(account: Account) -> Account:
    account.emulator.make_bucket(BUCKET)
    account.client("sns").create_topic(Name="postamt")
    return account


def wanted(account: Account, **more: Any) -> list[BucketEventsResource]:
    of: Stack = stack(bucket=BUCKET, **more)
    return [BucketEventsResource(of, account.aws())]


def applied(account: Account, **more: Any) -> list[str]:
    """Apply, and return what was changed; a second time there is nothing to do."""
    found = plan(wanted(account, **more))
    carry_out(found, account.aws(), lambda *_: None)
    assert plan(wanted(account, **more)).changes == []
    return [change.message for _, change in found.changes]


def announced(account: Account) -> dict[str, str]:
    """Return where each announced prefix goes."""
    found = account.client("s3").get_bucket_notification_configuration(Bucket=BUCKET)
    prefixes = {}
    for entry in found.get("TopicConfigurations", []):
        rules = entry.get("Filter", {}).get("Key", {}).get("FilterRules", [])
        prefix = next((r["Value"] for r in rules if r["Name"].lower() == "prefix"), "")
        prefixes[prefix] = entry["TopicArn"].rpartition(":")[2]
    return prefixes


def test_sent_mail_is_announced_where_a_webmail_is_wanted(bucket: Account) -> None:
    assert applied(bucket) == ["objects created in incoming/ to topic postamt: create"]
    assert announced(bucket) == {"incoming/": "postamt"}
    assert applied(bucket, webmail=WEBMAIL) == ["objects created in sent/ to topic postamt: create"]
    assert announced(bucket) == {"incoming/": "postamt", "sent/": "postamt"}
    assert applied(bucket) == ["objects created in sent/ to topic postamt: remove"]
    assert announced(bucket) == {"incoming/": "postamt"}


def test_removal_takes_both_notifications_away(bucket: Account) -> None:
    (message,) = applied(bucket, webmail=WEBMAIL)
    assert message.count(": create") == 2
    carry_out(plan_removal(wanted(bucket)), bucket.aws(), lambda *_: None)
    assert announced(bucket) == {}


@pytest.mark.parametrize("prefix", ["", "sent/x/", "sen"])
def test_a_prefix_that_reaches_there_stays_alone(bucket: Account, prefix: str) -> None:
    applied(bucket, webmail=WEBMAIL, prefix=prefix)
    assert announced(bucket) == {prefix: "postamt"}


def test_what_others_are_told_of_sent_mail_is_left_to_them(bucket: Account) -> None:
    """S3 allows one receiver; the poll brings sent mail home by itself."""
    theirs = bucket.client("sns").create_topic(Name="theirs")["TopicArn"]
    rules = [{"Name": "prefix", "Value": "sent/anna/"}]
    entry = {
        "Id": "theirs",
        "TopicArn": theirs,
        "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    bucket.client("s3").put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"TopicConfigurations": [entry]}
    )
    assert applied(bucket, webmail=WEBMAIL) == [
        "objects created in incoming/ to topic postamt: create"
    ]
    assert announced(bucket) == {"incoming/": "postamt", "sent/anna/": "theirs"}


def test_one_that_someone_changed_is_put_right(bucket: Account) -> None:
    applied(bucket, webmail=WEBMAIL)
    s3 = bucket.client("s3")
    found = s3.get_bucket_notification_configuration(Bucket=BUCKET)
    entries = found["TopicConfigurations"]
    entries[1]["Events"] = ["s3:ObjectRemoved:*"]
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"TopicConfigurations": entries}
    )
    assert applied(bucket, webmail=WEBMAIL) == [
        "objects created in sent/ to topic postamt: restore"
    ]
