"""The webmail taken away: all of it, in CloudFront's order, and nothing of the mail."""

from __future__ import annotations

from typing import Any

import pytest

from postamt_sync.bootstrap.plan import carry_out, plan_removal
from postamt_sync.bootstrap.resources.distribution import LOOK_SECONDS, PATIENCE_SECONDS
from postamt_sync.bootstrap.webmail_resources import webmail_resources
from postamt_sync.errors import TryLaterError
from tests.doubles.account import Account, KilledError, changes
from tests.doubles.webmail_account import MAIL, WEBMAIL, destroy, have, planned


@pytest.fixture
def made(account: Account) -> Account:
    have(account)
    return account


def left(account: Account) -> list[str]:
    """Return whatever is there of the webmail."""
    every: dict[str, Any] = {
        "tables": account.client("dynamodb").list_tables()["TableNames"],
        "buckets": [b["Name"] for b in account.client("s3").list_buckets()["Buckets"]],
        "apis": account.client("apigatewayv2").get_apis()["Items"],
        "functions": account.client("lambda").list_functions()["Functions"],
        "roles": account.client("iam").list_roles()["Roles"],
        "log groups": account.client("logs").describe_log_groups()["logGroups"],
        "parameters": account.client("ssm").describe_parameters()["Parameters"],
        "certificates": account.aws().client("acm").list_certificates()["CertificateSummaryList"],
    }
    edge = account.client("cloudfront")
    for name, answer in (
        ("distributions", edge.list_distributions()["DistributionList"]),
        ("access", edge.list_origin_access_controls()["OriginAccessControlList"]),
        (
            "requests",
            edge.list_origin_request_policies(Type="custom")["OriginRequestPolicyList"],
        ),
        (
            "headers",
            edge.list_response_headers_policies(Type="custom")["ResponseHeadersPolicyList"],
        ),
    ):
        every[name] = answer.get("Items")
    return [name for name, found in every.items() if found]


def test_all_of_it_goes_and_the_wait_is_told(made: Account) -> None:
    found = destroy(made)
    assert left(made) == []
    told = next(line for line in changes(found) if line.startswith("distribution "))
    assert "wait until CloudFront has done so everywhere" in told
    assert LOOK_SECONDS in made.pauses
    assert changes(destroy(made)) == []


def test_no_call_touches_the_mail(made: Account) -> None:
    asked: list[tuple[str, str]] = []
    made.before = lambda operation, said: asked.append((operation, str(said)))
    destroy(made)
    assert len(asked) > 20
    for operation, said in asked:
        assert MAIL not in said, operation
        assert "Receipt" not in operation
        assert "'TableName': 'postamt'" not in said


def test_killed_after_each_call_the_next_runs_end_it(made: Account) -> None:
    for resource in reversed(webmail_resources(WEBMAIL, made.aws())):
        for _ in range(20):
            made.kill_after = len(made.writes) + 1
            try:
                carry_out(plan_removal([resource]), made.aws(), lambda *_: None)
            except KilledError:
                continue
            break
    made.kill_after = None
    assert left(made) == []


def test_a_wait_that_takes_too_long_ends_with_what_to_do(made: Account) -> None:
    def at_it(answer: dict[str, Any]) -> None:
        answer["Distribution"]["Status"] = "InProgress"

    with (
        made.answering("cloudfront", "GetDistribution", at_it),
        pytest.raises(TryLaterError) as caught,
    ):
        destroy(made)
    assert "still switching" in caught.value.problem
    assert sum(made.pauses) >= PATIENCE_SECONDS
    assert "distributions" in left(made)
    destroy(made)
    assert left(made) == []


def test_what_is_another_s_stays(account: Account) -> None:
    account.client("ssm").put_parameter(Name=WEBMAIL.session_keys, Value="x", Type="String")
    account.client("dynamodb").create_table(
        TableName=WEBMAIL.table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "x", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "x", "KeyType": "HASH"}],
    )
    account.client("apigatewayv2").create_api(Name=WEBMAIL.api, ProtocolType="HTTP")
    found = destroy(account)
    assert changes(found) == []
    assert left(account) == ["tables", "apis", "parameters"]
    assert sum("kept" in note.message for _, note in found.notes) == 2


def test_what_was_taken_away_can_be_made_again(made: Account) -> None:
    destroy(made)
    assert len(changes(planned(made))) > 20
