"""A role that was made again is another one to KMS: its function is made again too, and once."""

from __future__ import annotations

import datetime as dt

import pytest

from postamt_sync.bootstrap.resources.lambda_function import ROLE_TAG
from tests.doubles.account import Account, KilledError, changes, stack
from tests.support.campaign import spread

STACK = stack()
MEND = (
    f"function {STACK.function}: its role was created again and cannot decrypt its settings: "
    "create it again too"
)
REMADE = ["DeleteFunction", "CreateFunction", "AddPermission"]


@pytest.fixture(autouse=True)
def _applied(account: Account) -> None:
    account.have(STACK)


def take_role_away(account: Account) -> None:
    iam = account.client("iam")
    iam.delete_role_policy(RoleName=STACK.role, PolicyName=STACK.role)
    iam.delete_role(RoleName=STACK.role)


def make_role_by_hand(account: Account) -> None:
    """As someone does who knows what it was, to the last character."""
    for title, change in account.plan(STACK).changes:
        if title.startswith("role"):
            for one in change.calls:
                account.aws().write(one)


def noted(account: Account) -> str:
    found = account.client("lambda").get_function(FunctionName=STACK.function)
    return str(found["Tags"].get(ROLE_TAG, ""))


def role_id(account: Account) -> str:
    return str(account.client("iam").get_role(RoleName=STACK.role)["Role"]["RoleId"])


def test_a_new_function_bears_the_id_of_its_role(account: Account) -> None:
    assert noted(account) == role_id(account) != ""


@pytest.mark.parametrize("by_hand", [False, True])
def test_the_function_is_made_again_with_the_role(account: Account, *, by_hand: bool) -> None:
    take_role_away(account)
    if by_hand:
        make_role_by_hand(account)
        assert changes(account.plan(STACK)) == [MEND]
    else:
        assert MEND in changes(account.plan(STACK))
    account.writes.clear()
    account.apply(STACK)
    assert account.writes[-3:] == REMADE
    assert noted(account) == role_id(account)
    assert changes(account.plan(STACK)) == []


@pytest.mark.parametrize("nth", spread(range(1, 6), 3))
def test_killed_on_the_way_the_next_run_completes_it(account: Account, nth: int) -> None:
    take_role_away(account)
    account.kill_after = nth
    with pytest.raises(KilledError):
        account.apply(STACK)
    account.apply(STACK)
    assert changes(account.plan(STACK)) == []
    assert noted(account) == role_id(account)


def test_code_that_is_uploaded_meanwhile_hides_nothing(account: Account) -> None:
    """It makes the function newer than the role, and gives it no other grant."""
    take_role_away(account)
    make_role_by_hand(account)
    account.client("lambda").update_function_configuration(
        FunctionName=STACK.function, Description="touched"
    )
    assert MEND in changes(account.plan(STACK))


def untag(account: Account) -> None:
    """Leave the function as a version left it that knew nothing of this."""
    arn = STACK.function_arn
    account.client("lambda").untag_resource(Resource=arn, TagKeys=[ROLE_TAG])


@pytest.mark.parametrize(("hours", "is_dead"), [(-1, False), (1, True)])
def test_a_function_without_a_note_is_judged_by_the_time(
    account: Account, hours: int, *, is_dead: bool
) -> None:
    untag(account)
    made = dt.datetime.now(dt.UTC) + dt.timedelta(hours=hours)
    with account.answering("iam", "GetRole", lambda said: said["Role"].update(CreateDate=made)):
        told = changes(account.plan(STACK))
        account.apply(STACK)
        assert noted(account) == role_id(account)
        assert changes(account.plan(STACK)) == []
    note = f"function {STACK.function}: note which role it was created with"
    assert told == [MEND if is_dead else note]
    assert ("DeleteFunction" in account.writes) is is_dead


def test_lambda_may_still_be_at_the_deletion(account: Account) -> None:
    take_role_away(account)
    with account.refusing("lambda", "CreateFunction", "ResourceConflictException", times=2):
        account.apply(STACK)
    assert len(account.pauses) == 2
    assert changes(account.plan(STACK)) == []
