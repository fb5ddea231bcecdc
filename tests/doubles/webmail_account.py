"""The webmail of a stack in an emulated account: planned, applied, taken away."""

from __future__ import annotations

from postamt_sync.bootstrap.plan import Plan, carry_out, plan, plan_removal
from postamt_sync.bootstrap.webmail_resources import webmail_resources
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from tests.doubles.account import ACCOUNT, Account
from tests.doubles.moto import REGION, MotoProcess

MAIL = "mail-of-someone"
WEBMAIL = WebmailStack("postamt", ACCOUNT, REGION, "webmail.verified.example", MAIL)

_KEPT: dict[int, MotoProcess] = {}


def planned(account: Account, webmail: WebmailStack = WEBMAIL) -> Plan:
    return plan(webmail_resources(webmail, account.aws()))


def apply(account: Account, webmail: WebmailStack = WEBMAIL) -> int:
    """Return how many writes it took."""
    before = len(account.writes)
    carry_out(planned(account, webmail), account.aws(), lambda *_: None)
    return len(account.writes) - before


def destroy(account: Account, webmail: WebmailStack = WEBMAIL) -> Plan:
    found = plan_removal(webmail_resources(webmail, account.aws()))
    carry_out(found, account.aws(), lambda *_: None)
    return found


def have(account: Account) -> None:
    """Begin with a webmail that was applied, and is in service everywhere."""
    if id(account.emulator) in _KEPT:
        account.emulator.bring_back(_KEPT[id(account.emulator)])
    else:
        apply(account)
        apply(account)
        planned(account)
        _KEPT[id(account.emulator)] = account.emulator.keep()
    account.writes.clear()
