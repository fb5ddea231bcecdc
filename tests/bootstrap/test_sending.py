"""Who may send what: the SMTP user's policy as SES asks for it, thing by thing."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from postamt_sync.bootstrap.policies import smtp_policy
from postamt_sync.bootstrap.policy_document import Document, document
from tests.doubles.account import stack
from tests.doubles.iam import allows
from tests.doubles.ses_account import SEND, SesAccount

STACK = stack(domains=("example.com", "example.org"))
OURS = {"example.com": "", "example.org": ""}
ANN = "ann@example.com"
FRIEND = "friend@else.example"
STRANGER = "stranger@nowhere.example"

SENT, DENIED, UNVERIFIED = "", "554 Access denied", "554 Message rejected"

Identities = Mapping[str, str]
"""What SES has verified, each with its default configuration set."""

CASES: dict[str, tuple[str, str, Identities, bool, str]] = {
    # From, recipient, identities, in the sandbox, what SES answers
    "out of the sandbox": (ANN, STRANGER, OURS, False, SENT),
    "the other domain": ("bob@example.org", STRANGER, OURS, False, SENT),
    "a subaddress": ("ann+shop@example.com", STRANGER, OURS, False, SENT),
    "a default configuration set": (ANN, STRANGER, {**OURS, "example.com": "main"}, False, SENT),
    "the address is an identity too": (ANN, STRANGER, {**OURS, ANN: ""}, False, SENT),
    "an address with a set of its own": (ANN, STRANGER, {**OURS, ANN: "hers"}, False, SENT),
    "to herself in the sandbox": (ANN, ANN, OURS, True, SENT),
    "to the other domain in the sandbox": (ANN, "bob@example.org", OURS, True, SENT),
    "to a verified address in the sandbox": (ANN, FRIEND, {**OURS, FRIEND: ""}, True, SENT),
    "to a verified domain in the sandbox": (ANN, FRIEND, {**OURS, "else.example": ""}, True, SENT),
    "below a verified domain": (ANN, "a@b.else.example", {**OURS, "else.example": ""}, True, SENT),
    "all of it": (ANN, FRIEND, {**OURS, "example.com": "main", ANN: "h", FRIEND: "f"}, True, SENT),
    "to a stranger in the sandbox": (ANN, STRANGER, OURS, True, UNVERIFIED),
    "from where SES has verified nothing": (STRANGER, ANN, OURS, False, UNVERIFIED),
    "from another domain of the account": (
        "ceo@work.example",
        STRANGER,
        {**OURS, "work.example": ""},
        False,
        DENIED,
    ),
    "from a friend's verified address": (FRIEND, ANN, {**OURS, FRIEND: ""}, True, DENIED),
    "from a name that ends like ours": (
        "ann@notexample.com",
        STRANGER,
        {**OURS, "notexample.com": ""},
        False,
        DENIED,
    ),
    "from a name that begins like ours": (
        "ann@example.com.else.example",
        STRANGER,
        {**OURS, "else.example": ""},
        False,
        DENIED,
    ),
    "from below our domain": ("ann@shop.example.com", STRANGER, OURS, False, DENIED),
    "in capital letters": ("Ann@Example.com", STRANGER, OURS, False, DENIED),
}


def identities_alone() -> Document:
    """Return the policy as it once was: the domains' identities are all that it names."""
    (statement,) = smtp_policy(STACK)["Statement"]
    return document(
        {**statement, "Resource": [STACK.identity_arn(domain) for domain in STACK.domains]}
    )


def answer(policy: Document, case: str) -> str:
    sender, recipient, identities, sandbox, _ = CASES[case]
    account = SesAccount(identities, sandbox)
    return account.refusal(STACK.smtp_user, policy, sender, [recipient])


@pytest.mark.parametrize("case", CASES)
def test_who_may_send_what(case: str) -> None:
    *_, wanted = CASES[case]
    said = answer(smtp_policy(STACK), case)
    assert said.startswith(wanted) if wanted else said == SENT


def test_the_identities_of_the_domains_alone_are_not_enough() -> None:
    refused = {
        case: answer(identities_alone(), case).rpartition("resource ")[2]
        for case, (*_, wanted) in CASES.items()
        if wanted == SENT and answer(identities_alone(), case).startswith(DENIED)
    }
    whose = "arn:aws:ses:eu-west-1:123456789012"
    assert refused == {
        "a default configuration set": f"`{whose}:configuration-set/main'",
        "the address is an identity too": f"`{whose}:identity/{ANN}'",
        "an address with a set of its own": f"`{whose}:identity/{ANN}'",
        "to a verified address in the sandbox": f"`{whose}:identity/{FRIEND}'",
        "to a verified domain in the sandbox": f"`{whose}:identity/else.example'",
        "below a verified domain": f"`{whose}:identity/else.example'",
        "all of it": f"`{whose}:identity/{ANN}'",
    }


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("ses:SendEmail", STACK.identity_arn("example.com")),
        ("ses:DeleteIdentity", STACK.identity_arn("example.com")),
        (SEND, STACK.rule_arn("postamt")),
        (SEND, STACK.identity_arn("example.com").replace("eu-west-1", "eu-west-2")),
        (SEND, STACK.identity_arn("example.com").replace(STACK.account, "210987654321")),
        (SEND, STACK.configuration_set_arn("main").replace(STACK.account, "210987654321")),
    ],
)
def test_it_is_for_sending_from_this_account_and_region_only(action: str, resource: str) -> None:
    context = {"ses:FromAddress": ANN}
    assert allows(smtp_policy(STACK), SEND, STACK.identity_arn("example.com"), context)
    assert not allows(smtp_policy(STACK), action, resource, context)


def test_a_mail_of_which_no_sender_is_known_is_not_sent() -> None:
    assert not allows(smtp_policy(STACK), SEND, STACK.identity_arn("example.com"), {})
