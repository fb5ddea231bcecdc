"""Our receipt rule among those of others."""

from __future__ import annotations

from typing import Any

import pytest

from postamt_sync.bootstrap.resources.receipt_rule import MOST_RULES
from postamt_sync.bootstrap.rule_position import FIRST, Position, read_position
from postamt_sync.errors import MisconfiguredError
from tests.doubles.account import ACCOUNT, Account, changes, conflicts, stack
from tests.doubles.moto import REGION

THEIRS = "theirs"
STOP = {"StopAction": {"Scope": "RuleSet"}}
BOUNCE = {
    "BounceAction": {"SmtpReplyCode": "550", "Message": "No.", "Sender": "no@example.com"},
}
WORKMAIL = {"WorkmailAction": {"OrganizationArn": f"arn:aws:workmail:{REGION}:{ACCOUNT}:o"}}
HEADER = {"AddHeaderAction": {"HeaderName": "X-Seen", "HeaderValue": "yes"}}


def rule(name: str, *actions: dict[str, Any], to: list[str] | None = None, on: bool = True) -> Any:
    return {
        "Name": name,
        "Enabled": on,
        "TlsPolicy": "Optional",
        "Recipients": ["example.com"] if to is None else to,
        "Actions": list(actions),
        "ScanEnabled": False,
    }


def put_rules(account: Account, *rules: Any, rule_set: str = THEIRS) -> None:
    """Make a rule set of someone else's, and activate it."""
    ses = account.client("ses")
    ses.create_receipt_rule_set(RuleSetName=rule_set)
    after: dict[str, str] = {}
    for one in rules:
        ses.create_receipt_rule(RuleSetName=rule_set, Rule=one, **after)
        after = {"After": one["Name"]}
    ses.set_active_receipt_rule_set(RuleSetName=rule_set)


def active(account: Account) -> tuple[str, list[str]]:
    answer = account.client("ses").describe_active_receipt_rule_set()
    return answer["Metadata"]["Name"], [r["Name"] for r in answer["Rules"]]


def rules_of(account: Account, rule_set: str = THEIRS) -> Any:
    return account.client("ses").describe_receipt_rule_set(RuleSetName=rule_set)["Rules"]


def test_a_foreign_rule_set_is_joined_and_left_as_it_was(account: Account) -> None:
    put_rules(account, rule("one", HEADER), rule("two", STOP, to=["other.example"]))
    before = rules_of(account)
    account.apply(stack())
    assert active(account) == (THEIRS, ["one", "two", "postamt"])
    assert rules_of(account)[:2] == before
    assert changes(account.plan(stack())) == []
    account.destroy(stack())
    assert active(account) == (THEIRS, ["one", "two"])
    assert rules_of(account) == before


SWALLOWS = {
    "Stop": rule("theirs", STOP),
    "Bounce": rule("theirs", BOUNCE),
    "WorkMail": rule("theirs", WORKMAIL),
    "Stop of one address": rule("theirs", STOP, to=["ann@example.com"]),
    "Stop of everybody": rule("theirs", STOP, to=[]),
    "Stop in other letters": rule("theirs", STOP, to=["EXAMPLE.com"]),
    "Stop after something else": rule("theirs", HEADER, STOP),
}
PASSES = {
    "a header": rule("theirs", HEADER),
    "Stop of another domain": rule("theirs", STOP, to=["other.example", "notexample.com"]),
    "Stop of subdomains, of which we have none": rule("theirs", STOP, to=[".example.com"]),
    "Stop that is off": rule("theirs", STOP, on=False),
}


@pytest.mark.parametrize("what", SWALLOWS)
def test_a_rule_that_swallows_our_mail_is_a_conflict(account: Account, what: str) -> None:
    put_rules(account, SWALLOWS[what])
    (told,) = conflicts(account.plan(stack()))
    assert "rule theirs comes before ours" in told
    account.writes.clear()
    with pytest.raises(MisconfiguredError, match="--position first"):
        account.apply(stack())
    assert account.writes == []
    assert conflicts(account.plan(stack(), FIRST)) == []


@pytest.mark.parametrize("what", PASSES)
def test_a_rule_that_lets_our_mail_pass_is_none(account: Account, what: str) -> None:
    put_rules(account, PASSES[what])
    assert conflicts(account.plan(stack())) == []


def test_a_stop_of_subdomains_swallows_where_we_have_some(account: Account) -> None:
    put_rules(account, rule("theirs", STOP, to=["mail.example.com"]))
    assert conflicts(account.plan(stack())) == []
    assert conflicts(account.plan(stack(subdomains=("example.com",))))


def test_a_position_is_taken_and_kept(account: Account) -> None:
    put_rules(account, rule("one", HEADER), rule("two", STOP), rule("three", HEADER))
    account.apply(stack(), Position(after="one"))
    assert active(account)[1] == ["one", "postamt", "two", "three"]
    assert changes(account.plan(stack())) == []
    account.apply(stack(), FIRST)
    assert active(account)[1] == ["postamt", "one", "two", "three"]
    assert account.apply(stack(), FIRST) == 0
    (told,) = conflicts(account.plan(stack(), Position(after="three")))
    assert "rule two comes before ours and stops all mail" in told


def test_a_stop_that_is_put_before_ours_later_is_seen(account: Account) -> None:
    account.have(stack())
    account.client("ses").create_receipt_rule(RuleSetName="postamt", Rule=rule("late", STOP))
    assert active(account)[1] == ["late", "postamt"]
    (told,) = conflicts(account.plan(stack()))
    assert "rule late comes before ours and stops all mail" in told
    account.apply(stack(), FIRST)
    assert active(account)[1] == ["postamt", "late"]
    assert conflicts(account.plan(stack())) == []


@pytest.mark.parametrize("name", ["nobody", "postamt"])
def test_a_rule_to_stand_after_must_be_there(account: Account, name: str) -> None:
    put_rules(account, rule("one", HEADER))
    position = read_position(f"after:{name}")
    (told,) = conflicts(account.plan(stack(), position))
    assert f"there is no rule {name} to stand after" in told
    account.apply(stack())
    (told,) = conflicts(account.plan(stack(), position))
    assert f"there is no rule {name} to stand after" in told


def test_a_position_counts_in_a_rule_set_that_is_ours_and_not_active(account: Account) -> None:
    put_rules(account, rule("one", STOP), rule_set="postamt")
    account.client("ses").set_active_receipt_rule_set()
    assert "rule one comes before ours" in conflicts(account.plan(stack()))[0]
    assert "no rule nobody" in conflicts(account.plan(stack(), Position(after="nobody")))[0]
    account.apply(stack(), FIRST)
    assert active(account) == ("postamt", ["postamt", "one"])
    assert changes(account.plan(stack(), FIRST)) == []


def test_a_full_rule_set_is_a_conflict(account: Account) -> None:
    put_rules(account, *(rule(f"rule-{n}", HEADER) for n in range(MOST_RULES)))
    (told,) = conflicts(account.plan(stack()))
    assert "has 200 rules, the most SES allows" in told
    account.client("ses").delete_receipt_rule(RuleSetName=THEIRS, RuleName="rule-0")
    assert conflicts(account.plan(stack())) == []


KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0f6b1c9e-0000-4000-8000-000000000000"


def with_key(account: Account) -> None:
    """Let someone have SES encrypt what comes."""
    ses = account.client("ses")
    found = ses.describe_active_receipt_rule_set()
    (ours,) = found["Rules"]
    ours["Actions"][0]["S3Action"]["KmsKeyArn"] = KEY
    ses.update_receipt_rule(RuleSetName=found["Metadata"]["Name"], Rule=ours)


def keys(account: Account) -> list[str]:
    (ours,) = account.client("ses").describe_active_receipt_rule_set()["Rules"]
    return [action["S3Action"].get("KmsKeyArn", "") for action in ours["Actions"]]


@pytest.mark.parametrize("kms", [True, False])
def test_a_kms_key_stays_where_its_mail_is_opened(account: Account, *, kms: bool) -> None:
    account.apply(stack(kms=kms))
    with_key(account)
    assert bool(changes(account.plan(stack(kms=kms)))) is not kms
    account.apply(stack(kms=kms, tls_policy="optional"))
    assert keys(account) == [KEY if kms else "", ""]
