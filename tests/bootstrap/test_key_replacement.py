"""A key is replaced when it is asked for, and only the one that was named."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.bootstrap.key_replacement import replacement
from postamt_sync.errors import MisconfiguredError, UsageError
from tests.bootstrap.resources.test_access_key import (
    USER,
    console_key,
    ids,
    make,
    the_key,
)
from tests.doubles.account import Account, KilledError


@pytest.fixture
def user(account: Account) -> Account:
    account.client("iam").create_user(UserName=USER)
    return account


def replace(account: Account, key_id: str = "", directory: Path | None = None) -> str:
    return replacement(the_key(account, directory), key_id).carry_out()


def test_the_only_key_is_replaced_and_what_stops_working_is_said(user: Account) -> None:
    old = make(user)
    wanted = replacement(the_key(user))
    assert f"The key {old} of {USER} was never used" in wanted.warning
    assert "mail client" in wanted.warning
    assert ids(user) == {old}
    new = wanted.carry_out()
    assert ids(user) == {new} != {old}
    assert the_key(user).file.key_id() == new


def test_a_key_whose_file_is_elsewhere_is_replaced_here(user: Account) -> None:
    make(user, user.keys / "lost")
    there = (user.keys / "lost/smtp-credentials").read_text()
    new = replace(user)
    assert ids(user) == {new}
    assert (user.keys / "lost/smtp-credentials").read_text() == there


def test_of_two_keys_a_person_says_which(user: Account) -> None:
    ours, theirs = make(user), console_key(user)
    with pytest.raises(UsageError, match="has two keys") as raised:
        replacement(the_key(user))
    assert ours in raised.value.problem
    assert f"{theirs} (made on" in raised.value.problem
    new = replace(user, ours)
    assert ids(user) == {theirs, new}
    with pytest.raises(UsageError, match="has no key AKIANOBODY"):
        replacement(the_key(user), "AKIANOBODY")


def test_the_file_of_the_key_that_stays_is_not_written_over(user: Account) -> None:
    ours, theirs = make(user), console_key(user)
    with pytest.raises(MisconfiguredError, match="which is to stay"):
        replacement(the_key(user), theirs)
    new = replace(user, theirs, user.keys / "other")
    assert ids(user) == {ours, new}


def test_a_foreign_file_stops_it_before_anything_is_done(user: Account) -> None:
    old = console_key(user)
    user.keys.mkdir()
    path = user.keys / "smtp-credentials"
    path.write_text("[smtp]\nusername = AKIAFOREIGN\n")
    with pytest.raises(MisconfiguredError, match="AKIAFOREIGN"):
        replace(user)
    assert ids(user) == {old}
    assert "AKIAFOREIGN" in path.read_text()


def test_without_a_key_there_is_none_to_replace(user: Account) -> None:
    with pytest.raises(MisconfiguredError, match="has no key"):
        replacement(the_key(user))


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_killed_after_any_call_no_working_key_is_lost(user: Account, nth: int) -> None:
    """Created, described, deleted, its description taken away."""
    old = make(user)
    user.kill_after = len(user.writes) + nth
    with pytest.raises(KilledError):
        replace(user)
    after = ids(user)
    held = the_key(user).file.key_id()
    assert held in after
    assert (old in after) == (nth < 3)
    assert list(the_key(user).plan()) == []
    if nth == 2:  # both work: which one goes is asked
        with pytest.raises(UsageError, match=f"{held} \\(in"):
            replace(user)
        return
    new = replace(user)
    assert ids(user) == {new}
    assert the_key(user).file.key_id() == new
