"""Who may send as whom where each mailbox has a user of its own: every one as every other."""

from __future__ import annotations

import json
import re

import pytest

from postamt_sync.bootstrap.policy_document import text
from postamt_sync.bootstrap.resources.user import LONGEST_POLICIES
from postamt_sync.bootstrap.sender_policy import sender_policy, senders
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import stack
from tests.doubles.iam import allows
from tests.support.documentation import documentation

SEND = "ses:SendRawEmail"


def household(*mailboxes: Addressee, **more: object) -> Stack:
    return stack(smtp_senders=mailboxes, **more)


def one(name: str, *addresses: str, default: bool = False) -> Addressee:
    return Addressee(name, addresses, default)


FAMILY = household(
    one("anna", "anna@example.com", "Anna.Maria@example.com", default=True),
    one("bruno", "bruno@example.com", "anna+club@example.com"),
    one("clara", "example.org", ".example.org"),
    one("dora", "dora@example.org", "shop.example.org"),
    one("emil", "e*l?@example.com", "a${b}$c@example.com", "x+y@example.com"),
    one("frida", "example.com"),
)

MAY = {
    "anna": [
        "anna@example.com",
        "Anna@Example.COM",
        "anna.maria@example.com",
        "anna+shop@example.com",
        "anna+shop+more@example.com",
        "anna+clubs@example.com",
    ],
    "bruno": ["bruno@example.com", "BRUNO@example.com", "anna+club@example.com"],
    "clara": ["info@example.org", "a+b@example.org", "x@deep.below.example.org"],
    "dora": ["dora@example.org", "Dora@example.org", "dora+x@example.org", "y@shop.example.org"],
    "emil": [
        "e*l?@example.com",
        "e*l?+x@example.com",
        "a${b}$c@example.com",
        "a${b}$c+tag@example.com",
        "X+Y@example.com",
    ],
    "frida": ["info@example.com", "x@example.com", "x+z@example.com", "annab@example.com"],
}
NOBODY = [
    "anna@example.net",
    "anna@example.com.evil.example",
    "anna@notexample.com",
    "anna@sub.example.com",
    "xexample.org",
    "annaexample.com",
    "",
]
IN_OTHER_SPELLINGS = [
    "Dora@Example.org",
    '"dora"@example.org',
    "dora(x)@example.org",
    "dora @example.org",
    "DORA+x@example.org",
    "Y@shop.example.org",
    '"bruno"@example.com',
    "Bruno+x@example.com",
]


def may(name: str, address: str, among: Stack = FAMILY) -> bool:
    (sender,) = (s for s in among.smtp_senders if s.name == name)
    resource = among.identity_arn("example.com")
    return allows(sender_policy(among, sender), SEND, resource, {"ses:FromAddress": address})


@pytest.mark.parametrize("name", MAY)
def test_each_sends_from_its_own_addresses(name: str) -> None:
    refused = [address for address in MAY[name] if not may(name, address)]
    assert refused == []


@pytest.mark.parametrize("name", MAY)
def test_nobody_sends_as_another(name: str) -> None:
    others = [address for other in MAY if other != name for address in MAY[other]]
    assert [address for address in [*others, *NOBODY] if may(name, address)] == []


@pytest.mark.parametrize("address", IN_OTHER_SPELLINGS)
def test_who_has_a_domain_does_not_send_as_others_in_other_spellings(address: str) -> None:
    assert not may("clara", address)
    assert not may("frida", address)


def test_what_looks_like_a_pattern_in_an_address_is_none() -> None:
    for address in ("emil@example.com", "exxla@example.com", "e*lx@example.com", "emil@x.org"):
        assert not may("emil", address)


def test_it_is_for_sending_from_this_account_and_region_only() -> None:
    policy = sender_policy(FAMILY, FAMILY.smtp_senders[0])
    context = {"ses:FromAddress": "anna@example.com"}
    ours = FAMILY.configuration_set_arn("main")
    assert allows(policy, SEND, ours, context)
    assert not allows(policy, "ses:SendEmail", ours, context)
    assert not allows(policy, SEND, ours.replace("eu-west-1", "eu-west-2"), context)
    assert not allows(policy, SEND, ours.replace(FAMILY.account, "210987654321"), context)
    assert not allows(policy, SEND, ours, {})


def test_the_default_without_addresses_sends_from_what_is_left() -> None:
    rest = household(
        one("rest", default=True),
        one("bruno", "bruno@example.com"),
        one("clara", "example.org"),
        domains=("example.com", "example.org"),
    )
    assert may("rest", "info@example.com", rest)
    assert not may("rest", "bruno@example.com", rest)
    assert not may("rest", "info@example.org", rest)


def test_who_has_nothing_to_send_from_has_no_user() -> None:
    stack = household(one("rest", default=True), one("clara", "example.com"))
    assert [sender.name for sender in senders(stack)] == ["clara"]


def test_a_household_of_sixteen_with_a_domain_for_one_fits_into_iam() -> None:
    people = [one(f"person{n}", f"person{n}@example.com") for n in range(15)]
    whole = household(*people, one("rest", "example.com", ".example.com"))
    for sender in whole.smtp_senders:
        assert len(text(sender_policy(whole, sender))) <= LONGEST_POLICIES


def test_thirty_addresses_of_one_mailbox_fit_too() -> None:
    many = one("anna", *(f"person{n}@example.com" for n in range(30)))
    assert len(text(sender_policy(household(many), many))) <= LONGEST_POLICIES


def test_where_nobody_else_has_an_address_capital_letters_are_taken() -> None:
    alone = household(one("anna", "example.com", "anna@example.org"))
    for address in ("Info@Example.com", "anna+Shop@example.org"):
        assert may("anna", address.replace("Example", "example"), alone)


def test_users_are_named_after_mailboxes_within_iams_limit() -> None:
    assert FAMILY.smtp_user_of("anna") == "postamt-smtp-anna"
    long = [FAMILY.smtp_user_of("a" * 63 + end) for end in "ab"]
    assert len(set(long)) == 2
    assert all(len(user) <= 64 and user.startswith("postamt-smtp-aaa") for user in long)


def test_the_readme_shows_the_statement_as_it_is() -> None:
    readme = documentation()
    (shown,) = (b for b in re.findall(r"```json\n(.*?)```", readme, re.DOTALL) if "ses:" in b)
    alone = household(one("anna", "anna@example.com"))
    statement, _ = sender_policy(alone, alone.smtp_senders[0])["Statement"]
    assert json.loads(shown) == statement
