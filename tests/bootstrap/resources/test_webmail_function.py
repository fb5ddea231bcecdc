"""The webmail's function at AWS: what it is made with, and what is put right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from postamt_sync.aws.webmail_zip import HANDLER, webmail_zip
from postamt_sync.bootstrap.resources.http_api import HttpApiResource
from postamt_sync.bootstrap.resources.lambda_function import ROLE_TAG
from postamt_sync.bootstrap.resources.log_group import DAYS
from postamt_sync.bootstrap.resources.webmail_function import (
    WebmailFunctionResource,
    function_settings,
)
from postamt_sync.bootstrap.webmail_policies import webmail_policy
from postamt_sync.errors import MisconfiguredError
from postamt_sync.webmail.function_settings import FunctionSettings
from tests.doubles.account import Account, changes
from tests.doubles.account import stack as mail_stack
from tests.doubles.webmail_account import MAIL, WEBMAIL, apply, have, planned

TITLE = f"function {WEBMAIL.function}"


@pytest.fixture
def made(account: Account) -> Account:
    have(account)
    return account


def held(account: Account) -> dict[str, Any]:
    found: dict[str, Any] = account.client("lambda").get_function(FunctionName=WEBMAIL.function)
    return found


def callers(account: Account) -> list[dict[str, Any]]:
    policy = account.client("lambda").get_policy(FunctionName=WEBMAIL.function)["Policy"]
    found: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return found


def test_it_is_made_with_all_that_it_takes(made: Account) -> None:
    found = held(made)
    actual = found["Configuration"]
    assert actual["Architectures"] == ["arm64"]
    assert (actual["Runtime"], actual["Handler"]) == ("python3.13", HANDLER)
    assert (actual["MemorySize"], actual["Timeout"]) == (1_024, 30)
    assert actual["CodeSize"] == len(webmail_zip())
    told = FunctionSettings.read(actual["Environment"]["Variables"])
    assert told == function_settings(WEBMAIL)
    assert (told.bucket, told.day_bucket) == (MAIL, WEBMAIL.site_bucket)
    role = made.client("iam").get_role(RoleName=WEBMAIL.role)["Role"]
    assert actual["Role"] == role["Arn"]
    assert found["Tags"][ROLE_TAG] == role["RoleId"]
    trusted = role["AssumeRolePolicyDocument"]["Statement"]
    assert [s["Principal"] for s in trusted] == [{"Service": "lambda.amazonaws.com"}]
    may = made.client("iam").get_role_policy(RoleName=WEBMAIL.role, PolicyName=WEBMAIL.role)
    assert may["PolicyDocument"] == webmail_policy(WEBMAIL)
    (group,) = made.client("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == (WEBMAIL.log_group, DAYS)


def test_what_someone_changed_is_put_right(made: Account) -> None:
    client = made.client("lambda")
    variables = {**function_settings(WEBMAIL).environment, "HOST": "evil.example"}
    client.update_function_configuration(
        FunctionName=WEBMAIL.function, MemorySize=128, Environment={"Variables": variables}
    )
    client.update_function_code(FunctionName=WEBMAIL.function, ZipFile=b"PK\x05\x06" + b"\0" * 18)
    assert [line for line in changes(planned(made)) if line.startswith(TITLE)] == [
        f"{TITLE}: code: was changed, upload",
        f"{TITLE}: settings (memory, in MB, environment): was changed, restore it",
    ]
    apply(made)
    assert changes(planned(made)) == []
    assert held(made)["Configuration"]["MemorySize"] == 1_024
    assert made.writes.count("CreateFunction") == 0


def test_with_another_role_it_is_made_again_and_the_api_may_call_it(made: Account) -> None:
    iam = made.client("iam")
    before = callers(made)
    iam.delete_role_policy(RoleName=WEBMAIL.role, PolicyName=WEBMAIL.role)
    iam.delete_role(RoleName=WEBMAIL.role)
    assert any("its role was created again" in line for line in changes(planned(made)))
    apply(made)
    assert changes(planned(made)) == []
    assert callers(made) == before
    role = iam.get_role(RoleName=WEBMAIL.role)["Role"]
    assert held(made)["Tags"][ROLE_TAG] == role["RoleId"]


def test_one_that_someone_deleted_comes_back(made: Account) -> None:
    before = callers(made)
    made.client("lambda").delete_function(FunctionName=WEBMAIL.function)
    apply(made)
    assert changes(planned(made)) == []
    assert callers(made) == before


def test_where_the_zip_cannot_be_made_nothing_is_planned_and_it_can_still_go(
    made: Account,
) -> None:
    def refused() -> bytes:
        raise MisconfiguredError("Another version is installed.", "Install it.")

    aws = made.aws()
    function = WebmailFunctionResource(WEBMAIL, aws, HttpApiResource(WEBMAIL, aws), refused)
    with pytest.raises(MisconfiguredError):
        list(function.plan())
    assert [getattr(item, "message", "") for item in function.destroy()] == ["delete"]


def test_it_names_the_stack_s_tables_as_the_stack_does() -> None:
    mail = mail_stack(name=WEBMAIL.name)
    assert WEBMAIL.index == mail.table
    assert (WEBMAIL.lists, WEBMAIL.lists_arn) == (mail.lists, mail.lists_arn)
    assert WEBMAIL.identity_arn("*") == mail.identity_arn("*")
    assert WEBMAIL.configuration_set_arn("*") == mail.configuration_set_arn("*")
