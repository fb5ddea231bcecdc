"""What is ours goes, what holds mail stays until its name is said."""

from __future__ import annotations

from typing import Any

import pytest

from postamt_sync.errors import MisconfiguredError
from tests.doubles.account import Account, KilledError, changes, stack
from tests.support.campaign import spread

BUCKET = stack().bucket


def left(account: Account) -> set[str]:
    """Name everything that the account has of what a stack consists of."""
    client = account.client
    found = {f"bucket {b['Name']}" for b in client("s3").list_buckets()["Buckets"]}
    found |= {f"topic {t['TopicArn']}" for t in client("sns").list_topics()["Topics"]}
    found |= {s["Protocol"] for s in client("sns").list_subscriptions()["Subscriptions"]}
    found |= {f"queue {url}" for url in client("sqs").list_queues().get("QueueUrls", [])}
    found |= {f"table {name}" for name in client("dynamodb").list_tables()["TableNames"]}
    found |= {
        f"function {f['FunctionName']}" for f in client("lambda").list_functions()["Functions"]
    }
    found |= {g["logGroupName"] for g in client("logs").describe_log_groups()["logGroups"]}
    found |= {f"role {r['RoleName']}" for r in client("iam").list_roles()["Roles"]}
    found |= {f"user {u['UserName']}" for u in client("iam").list_users()["Users"]}
    found |= {f"rule set {r['Name']}" for r in client("ses").list_receipt_rule_sets()["RuleSets"]}
    found |= set(client("ses").list_identities()["Identities"])
    return found


def put_mail(account: Account) -> None:
    """Two mails; one of them in two versions and then marked as deleted."""
    s3 = account.client("s3")
    for key in ("incoming/one", "incoming/two", "incoming/two"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"Subject: mail\r\n\r\n")
    s3.delete_object(Bucket=BUCKET, Key="incoming/two")


def test_bucket_and_table_are_kept_and_told(account: Account) -> None:
    account.have(stack())
    put_mail(account)
    told = [f"{title}: {note.message}" for title, note in account.destroy(stack()).notes]
    assert f"bucket {BUCKET}: kept, with all mail; --delete-mail {BUCKET} deletes it too" in told
    assert any(message.startswith("table postamt: kept, as the mail is") for message in told)
    assert left(account) == {f"bucket {BUCKET}", "table postamt"}
    assert len(account.client("s3").list_object_versions(Bucket=BUCKET)["Versions"]) >= 3
    assert changes(account.destroy(stack())) == []


def test_another_name_than_the_bucket_s_deletes_no_mail(account: Account) -> None:
    account.have(stack())
    account.destroy(stack(), delete_mail="postamt")
    assert left(account) == {f"bucket {BUCKET}", "table postamt"}


def test_by_its_name_the_mail_goes_too(account: Account) -> None:
    account.have(stack())
    put_mail(account)
    account.destroy(stack(), delete_mail=BUCKET)
    assert left(account) == set()
    assert changes(account.destroy(stack(), delete_mail=BUCKET)) == []


def test_what_was_destroyed_can_be_applied_again(account: Account) -> None:
    account.have(stack())
    account.destroy(stack())
    account.apply(stack())
    assert changes(account.plan(stack())) == []


def number_of_writes() -> int:
    """As many as it takes to destroy all; the test below sees to it that this stays true."""
    return 25


@pytest.mark.parametrize("nth", spread(range(1, number_of_writes() + 1), 8))
def test_killed_after_any_call_the_next_run_completes_it(account: Account, nth: int) -> None:
    account.have(stack())
    account.kill_after = len(account.writes) + nth
    with pytest.raises(KilledError):
        account.destroy(stack(), delete_mail=BUCKET)
    account.destroy(stack(), delete_mail=BUCKET)
    assert left(account) == set()


def test_the_kills_above_reach_every_call(account: Account) -> None:
    account.have(stack())
    account.writes.clear()
    account.destroy(stack(), delete_mail=BUCKET)
    assert len(account.writes) == number_of_writes(), account.writes


def test_a_rule_of_ours_in_a_rule_set_that_is_not_active_goes_too(account: Account) -> None:
    account.have(stack())
    ses = account.client("ses")
    ses.create_receipt_rule_set(RuleSetName="theirs")
    ses.set_active_receipt_rule_set(RuleSetName="theirs")
    account.destroy(stack())
    assert [r["Name"] for r in ses.list_receipt_rule_sets()["RuleSets"]] == ["theirs"]
    assert ses.describe_active_receipt_rule_set()["Metadata"]["Name"] == "theirs"


def test_a_version_that_s3_will_not_delete_ends_it(account: Account) -> None:
    account.have(stack())
    put_mail(account)
    error = {"Key": "incoming/one", "Code": "AccessDenied", "Message": "Access Denied"}
    with (
        account.answering("s3", "DeleteObjects", lambda answer: answer.update(Errors=[error])),
        pytest.raises(MisconfiguredError, match="incoming/one cannot be deleted: Access") as raised,
    ):
        account.destroy(stack(), delete_mail=BUCKET)
    assert "Object Lock" in raised.value.hint
    assert f"bucket {BUCKET}" in left(account)


def test_a_table_that_is_on_its_way_out_is_left_to_go(account: Account) -> None:
    account.have(stack())
    goes = account.answering(
        "dynamodb", "DescribeTable", lambda answer: answer["Table"].update(TableStatus="DELETING")
    )
    with goes:
        assert not any("table" in line for line in changes(account.destroy(stack())))
        (told,) = [c.message for _, c in account.plan(stack()).conflicts]
    assert told == "it is being deleted."


def test_a_queue_whose_address_sqs_still_tells_is_gone(account: Account) -> None:
    account.have(stack())
    (url,) = account.client("sqs").list_queues(QueueNamePrefix="postamt-index")["QueueUrls"]
    account.client("sqs").delete_queue(QueueUrl=url)
    events = account.aws().client("sqs").meta.events

    def still_told(model: Any, params: Any, **_: Any) -> Any:
        if "postamt-index-dead" in str(params.get("body")):
            answer = type("Answer", (), {"status_code": 200, "headers": {}})()
            return answer, {"QueueUrl": url, "ResponseMetadata": {"HTTPStatusCode": 200}}
        return None

    events.register("before-call.sqs.GetQueueUrl", still_told)
    try:
        assert changes(account.plan(stack())) == ["queue postamt-index-dead: create"]
        account.destroy(stack())
    finally:
        events.unregister("before-call.sqs.GetQueueUrl", still_told)
