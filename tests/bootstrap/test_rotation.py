"""A key is replaced without a moment in which neither the old nor the new one works."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.bootstrap.build import keys
from postamt_sync.bootstrap.rotation import GRACE, Rotation
from postamt_sync.errors import MisconfiguredError, TryLaterError
from tests.doubles.account import Account, changes, stack

USER = stack().sync_user
MADE = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
A_DAY = dt.timedelta(days=1)


def rotation(account: Account, after: dt.timedelta = A_DAY) -> Rotation:
    """Return the rotation so long after the newest key was made."""
    made = max((k["CreateDate"] for k in held(account)), default=MADE)
    key = keys(stack(), account.aws(), account.keys).sync
    return Rotation(key, account.aws(), lambda: made + after)


def held(account: Account) -> list[dict[str, Any]]:
    every = account.client("iam").list_access_keys(UserName=USER)["AccessKeyMetadata"]
    return list(every)


def ids(account: Account) -> set[str]:
    return {key["AccessKeyId"] for key in held(account)}


def file(account: Account) -> Path:
    return account.keys / "credentials"


def in_order(answer: dict[str, Any]) -> None:
    """Make the keys a day apart: IAM's times are whole seconds, and tests are faster."""
    for number, key in enumerate(answer["AccessKeyMetadata"]):
        key["CreateDate"] = MADE + number * A_DAY


@pytest.fixture(autouse=True)
def applied(account: Account) -> Any:
    account.apply(stack())
    with account.answering("iam", "ListAccessKeys", in_order):
        yield


def test_the_old_key_works_on_until_the_grace_is_over(account: Account) -> None:
    (old,) = ids(account)
    told = rotation(account).step()
    assert f"The old one, {old}, works for 7 more days" in told
    (new,) = ids(account) - {old}
    assert new in file(account).read_text()
    assert old not in file(account).read_text()
    with pytest.raises(TryLaterError, match="works for"):
        step_after(account, GRACE - A_DAY)
    assert ids(account) == {old, new}
    assert old in step_after(account, GRACE)
    assert ids(account) == {new}
    assert changes(account.plan(stack())) == []


def step_after(account: Account, after: dt.timedelta) -> str:
    key = keys(stack(), account.aws(), account.keys).sync
    newest = MADE + A_DAY
    return Rotation(key, account.aws(), lambda: newest + after).step()


def test_whoever_moved_everything_need_not_wait(account: Account) -> None:
    (old,) = ids(account)
    rotation(account).step()
    assert "is taken away" in rotation(account).step(finish=True)
    assert len(ids(account)) == 1
    assert old not in ids(account)


def test_there_is_nothing_to_finish_before_it_began(account: Account) -> None:
    before = ids(account)
    assert "has one key only" in rotation(account).step(finish=True)
    assert ids(account) == before


def test_there_are_never_more_than_two(account: Account) -> None:
    for _ in range(3):
        rotation(account).step()
        assert len(ids(account)) == 2
        rotation(account).step(finish=True)
        assert len(ids(account)) == 1


def test_without_a_key_there_is_none_to_replace(account: Account) -> None:
    (only,) = ids(account)
    account.client("iam").delete_access_key(UserName=USER, AccessKeyId=only)
    with pytest.raises(MisconfiguredError, match="has no key"):
        rotation(account).step()


def test_keys_that_no_file_tells_apart_are_left_alone(account: Account) -> None:
    rotation(account).step()
    before = ids(account)
    file(account).unlink()
    with pytest.raises(MisconfiguredError, match="holds neither"):
        rotation(account).step(finish=True)
    assert ids(account) == before


def test_a_new_key_that_never_came_into_the_file_is_taken_away(account: Account) -> None:
    """The process ended between IAM's answer and the file: the old key goes on working."""
    (old,) = ids(account)
    kept = file(account).read_text()
    rotation(account).step()
    file(account).write_text(kept)
    told = rotation(account, GRACE).step()
    assert "was never used: it is taken away" in told
    assert ids(account) == {old}


def test_a_newer_key_in_use_elsewhere_is_never_taken_away(account: Account) -> None:
    kept = file(account).read_text()
    rotation(account).step()
    file(account).write_text(kept)
    used = account.answering(
        "iam",
        "GetAccessKeyLastUsed",
        lambda answer: answer["AccessKeyLastUsed"].update(LastUsedDate=MADE),
    )
    with used, pytest.raises(MisconfiguredError, match="holds the older key"):
        rotation(account, GRACE).step(finish=True)
    assert len(ids(account)) == 2


def test_the_words_hold_no_secret(account: Account) -> None:
    told = rotation(account).step()
    secret = file(account).read_text().partition("aws_secret_access_key = ")[2].strip()
    assert len(secret) > 20
    assert secret not in told
