"""A key is replaced without a moment in which neither the old nor the new one works."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.bootstrap.key_rotation import GRACE, Rotation
from postamt_sync.bootstrap.stack_resources import keys
from postamt_sync.errors import MisconfiguredError, TryLaterError, UsageError
from tests.doubles.account import Account, changes, stack

USER = stack().sync_user
MADE = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
A_DAY = dt.timedelta(days=1)


def rotation(account: Account, after: dt.timedelta = A_DAY) -> Rotation:
    """Return the rotation so long after the newest key was made."""
    made = max((k["CreateDate"] for k in held(account)), default=MADE)
    key = keys(stack(), account.aws(), account.keys).sync
    return Rotation(key, refuse, lambda: made + after)


def refuse(question: str) -> None:
    raise UsageError(question)


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
    account.have(stack())
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
    return Rotation(key, refuse, lambda: newest + after).step()


def test_whoever_moved_everything_need_not_wait(account: Account) -> None:
    (old,) = ids(account)
    rotation(account).step()
    assert "is deleted" in rotation(account).step(finish=True)
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


def used(account: Account, key_id: str, at: dt.datetime) -> Any:
    """Have IAM say that the key was used last then."""
    asked: list[str] = []
    account.before = lambda name, parameters: (
        asked.append(parameters["AccessKeyId"]) if name == "GetAccessKeyLastUsed" else None
    )

    def answer(told: dict[str, Any]) -> None:
        if asked[-1] == key_id:
            told["AccessKeyLastUsed"].update(LastUsedDate=at)

    return account.answering("iam", "GetAccessKeyLastUsed", answer)


def test_an_old_key_that_is_still_in_use_is_not_taken_away(account: Account) -> None:
    """The grace begins again with every use; --finish asks first."""
    (old,) = ids(account)
    rotation(account).step()
    newest = MADE + A_DAY
    with used(account, old, newest + GRACE - A_DAY):
        with pytest.raises(TryLaterError, match="still in use: last on 2026-11-08"):
            step_after(account, GRACE + A_DAY)
        with pytest.raises(UsageError, match=f"{old} was used last on 2026-11-08"):
            rotation(account).step(finish=True)
        assert len(ids(account)) == 2
        assert "is deleted" in step_after(account, 2 * GRACE)
    assert old not in ids(account)


@pytest.mark.parametrize("finish", [False, True])
def test_a_newer_key_that_a_person_made_is_left_alone(account: Account, *, finish: bool) -> None:
    """IAM says "never used" of what was typed into a mail client and has not sent yet."""
    theirs = account.client("iam").create_access_key(UserName=USER)["AccessKey"]["AccessKeyId"]
    with pytest.raises(MisconfiguredError, match="made elsewhere and was never used") as raised:
        rotation(account, GRACE).step(finish=finish)
    assert f"credentials replace sync --key {theirs}" in raised.value.hint
    assert len(ids(account)) == 2


def test_an_older_key_that_a_person_made_is_no_rotation_that_was_begun(account: Account) -> None:
    """The file holds the newer of two keys, and nobody has asked for that."""
    rotation(account).step()
    (new,) = {k for k in ids(account) if k in file(account).read_text()}
    account.client("iam").untag_user(UserName=USER, TagKeys=[new])
    with pytest.raises(MisconfiguredError, match="not because of a rotation"):
        step_after(account, 2 * GRACE)
    with pytest.raises(UsageError, match="was never used"):
        rotation(account).step(finish=True)
    assert len(ids(account)) == 2


def test_the_words_hold_no_secret(account: Account) -> None:
    told = rotation(account).step()
    secret = file(account).read_text().partition("aws_secret_access_key = ")[2].strip()
    assert len(secret) > 20
    assert secret not in told
