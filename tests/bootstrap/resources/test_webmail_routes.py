"""Who gets what is handed over, again when it changes, and says what follows from that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postamt_sync.bootstrap.resources.webmail_routes import MOST_BYTES
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.mail.handed_routes import ROUTES_KEY, HandedRoutes
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import Account, changes, stack

pytestmark = pytest.mark.slow

ANNA = Addressee("anna", ("anna@example.com", "example.com"), default=True)
BRUNO = Addressee("bruno", ("bruno@example.com",), default=False)
STACK = stack(handed=HandedRoutes((ANNA, BRUNO)))
TITLE = "who gets what, for the lists of mail"


def item(account: Account, of: Stack = STACK) -> dict[str, str]:
    found = account.client("dynamodb").get_item(TableName=of.lists, Key=ROUTES_KEY)["Item"]
    return {name: value["S"] for name, value in found.items()}


def notes(account: Account, of: Stack) -> list[str]:
    return [note.message for title, note in account.plan(of).notes if title == TITLE]


def test_they_are_handed_over_as_they_are_and_lists_without_mail_are_complete(
    account: Account,
) -> None:
    account.have(STACK)
    handed = item(account)
    assert HandedRoutes.from_json(handed["routes"]) == STACK.handed
    assert handed["filled"] == handed["version"]
    assert changes(account.plan(STACK)) == []
    assert notes(account, STACK) == []


@pytest.mark.parametrize("where", ["index", "bucket"])
def test_a_change_shows_in_the_plan_and_mail_that_is_there_has_to_be_listed_again(
    account: Account, where: str
) -> None:
    account.have(STACK)
    before = item(account)
    if where == "index":
        mail = {"message_id": {"S": "m"}, "key": {"S": "incoming/m"}}
        account.client("dynamodb").put_item(TableName=STACK.table, Item=mail)
    else:
        account.client("s3").put_object(Bucket=STACK.bucket, Key="incoming/m", Body=b"x")
    changed = replace(STACK, handed=HandedRoutes((ANNA,)))
    assert changes(account.plan(changed)) == [f"{TITLE}: was changed, hand over again"]
    (note,) = notes(account, changed)
    assert "bootstrap reindex" in note
    account.apply(changed)
    handed = item(account)
    assert handed["version"] != before["version"]
    assert "filled" not in handed
    assert changes(account.plan(changed)) == []
    assert notes(account, changed) == [note]


def test_what_ses_writes_to_try_the_rule_is_no_mail(account: Account) -> None:
    account.have(STACK)
    trial = "incoming/AMAZON_SES_SETUP_NOTIFICATION"
    account.client("s3").put_object(Bucket=STACK.bucket, Key=trial, Body=b"x")
    changed = replace(STACK, handed=HandedRoutes((ANNA,)))
    account.apply(changed)
    assert item(account)["filled"] == item(account)["version"]


def test_the_same_routes_in_a_table_that_was_made_again_are_another_handing_over(
    account: Account,
) -> None:
    account.have(STACK)
    before = item(account)
    account.client("dynamodb").delete_table(TableName=STACK.lists)
    account.apply(STACK)
    assert item(account)["version"] != before["version"]


def test_many_mailboxes_pass_and_too_many_are_told(account: Account) -> None:
    def of(number: int) -> HandedRoutes:
        more = (Addressee(f"m{n}", (f"m{n}@example.com",), default=False) for n in range(number))
        return HandedRoutes((ANNA, *more))

    many = replace(STACK, handed=of(500))
    account.have(many)
    assert len(item(account, many)["routes"]) > 4_096
    too_many = replace(STACK, handed=of(8_000))
    assert too_many.handed is not None
    assert len(too_many.handed.to_json()) > MOST_BYTES
    assert changes(account.plan(too_many)) == []
    assert "slowly" in notes(account, too_many)[0]


def test_destroy_takes_the_lists_which_can_be_filled_again(account: Account) -> None:
    account.have(STACK)
    account.destroy(STACK)
    names = account.client("dynamodb").list_tables()["TableNames"]
    assert names == [STACK.table]
