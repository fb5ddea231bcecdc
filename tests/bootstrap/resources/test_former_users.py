"""From one user for sending to one a mailbox and back: nobody is cut off, and nothing stays."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from postamt_sync.bootstrap.resources.former_users import FormerUsersResource
from postamt_sync.bootstrap.resources.user import FORMER
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_resources import keys
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import Account, changes, stack

pytestmark = pytest.mark.slow

ANNA = Addressee("anna", ("anna@example.com",), default=True)
BRUNO = Addressee("bruno", ("bruno@example.com",))
SHARED = stack()
OWN = stack(smtp_senders=(ANNA, BRUNO))
NOW = dt.datetime.now(dt.UTC)


def users(account: Account) -> list[str]:
    found = account.client("iam").list_users()["Users"]
    return sorted(u["UserName"] for u in found if "smtp" in u["UserName"])


def former(account: Account, of: Stack, days: float = 0) -> FormerUsersResource:
    """Return the resource as it is some days from now."""
    kept = keys(of, account.aws(), account.keys)
    wanted = tuple(one.key.user for one in kept.sending)
    later = NOW + dt.timedelta(days=days, minutes=1)
    return FormerUsersResource(of, account.aws(), wanted, now=lambda _: later)


def said(resource: FormerUsersResource) -> list[str]:
    return [item.message for item in resource.plan()]


def test_each_mailbox_gets_a_user_with_a_policy_and_a_file_of_its_own(account: Account) -> None:
    account.have(SHARED)
    account.apply(OWN)
    assert users(account) == ["postamt-smtp", "postamt-smtp-anna", "postamt-smtp-bruno"]
    names = {path.name for path in account.keys.iterdir()}
    assert names == {
        "credentials",
        "smtp-credentials",
        "smtp-credentials-anna",
        "smtp-credentials-bruno",
    }
    for path in account.keys.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    iam = account.client("iam")
    policy = iam.get_user_policy(UserName="postamt-smtp-bruno", PolicyName="postamt-smtp-bruno")
    assert "bruno@example.com" in str(policy["PolicyDocument"])
    assert "anna@example.com" not in str(policy["PolicyDocument"])
    held = (account.keys / "smtp-credentials-bruno").read_text()
    assert "iam_user = arn:aws:iam::123456789012:user/postamt-smtp-bruno" in held
    assert account.apply(OWN) == 0


def test_there_and_back_no_user_goes_before_it_was_idle_for_a_week(account: Account) -> None:
    account.have(SHARED)
    before = (account.keys / "smtp-credentials").read_text()
    account.apply(OWN)
    account.apply(OWN)
    assert users(account) == ["postamt-smtp", "postamt-smtp-anna", "postamt-smtp-bruno"]
    account.apply(SHARED)
    assert users(account) == ["postamt-smtp", "postamt-smtp-anna", "postamt-smtp-bruno"]
    assert (account.keys / "smtp-credentials").read_text() == before
    tags = account.client("iam").list_user_tags(UserName="postamt-smtp")["Tags"]
    assert FORMER not in {tag["Key"] for tag in tags}
    assert changes(account.plan(SHARED)) == []
    (told, _) = said(former(account, SHARED, days=6))
    assert "postamt-smtp-anna, never used, as IAM says: no longer wanted since" in told
    assert told.endswith("postamt-sync bootstrap credentials retire")
    assert [f"{line:.17}" for line in said(former(account, SHARED, days=7))] == [
        "postamt-smtp-anna",
        "postamt-smtp-brun",
    ]
    assert all("delete" in line for line in said(former(account, SHARED, days=7)))


def test_one_that_is_in_use_stays(account: Account) -> None:
    account.have(SHARED)
    account.apply(OWN)

    def used(answer: dict[str, Any]) -> None:
        answer["AccessKeyLastUsed"]["LastUsedDate"] = NOW + dt.timedelta(days=20)

    with account.answering("iam", "GetAccessKeyLastUsed", used):
        (told,) = said(former(account, OWN, days=26))
        assert "no longer wanted" in told
        (told,) = said(former(account, OWN, days=27))
        assert "delete" in told


def test_when_a_mailbox_goes_its_user_goes(account: Account) -> None:
    account.have(OWN)
    account.apply(stack(smtp_senders=(ANNA,)))
    assert users(account) == ["postamt-smtp-anna"]


def test_users_of_others_stay_whatever_they_are_called(account: Account) -> None:
    account.have(OWN)
    iam = account.client("iam")
    iam.create_user(UserName="postamt-smtp-zoe")
    iam.create_user(
        UserName="postamt-smtp-x-smtp", Tags=[{"Key": "postamt:stack", "Value": "postamt-smtp-x"}]
    )
    assert changes(account.plan(OWN)) == []
    account.destroy(OWN)
    assert users(account) == ["postamt-smtp-x-smtp", "postamt-smtp-zoe"]


@pytest.mark.parametrize("last", [SHARED, OWN])
def test_destroy_takes_all_of_them(account: Account, last: Stack) -> None:
    account.have(SHARED)
    account.apply(OWN)
    account.destroy(last)
    assert users(account) == []


@pytest.mark.parametrize("mark", ["", "yesterday", "2026-01-01T00:00:00"])
def test_a_mark_that_says_no_time_is_made_again(account: Account, mark: str) -> None:
    account.have(SHARED)
    tags = [{"Key": FORMER, "Value": mark}]
    account.client("iam").tag_user(UserName="postamt-smtp", Tags=tags)
    (told,) = said(former(account, OWN))
    assert "mark as no longer wanted" in told


def test_a_policy_that_is_too_long_for_iam_is_told_beforehand(account: Account) -> None:
    many = tuple(f"person{n}@example.com" for n in range(40))
    found = account.plan(stack(smtp_senders=(Addressee("anna", many, default=True),)))
    ((title, conflict),) = found.conflicts
    assert title == "user postamt-smtp-anna"
    assert "2048" in conflict.message
    assert "smtp_per_mailbox = false" in conflict.remedy
