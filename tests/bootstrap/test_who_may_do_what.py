"""Who may do what to which: the table in .github/SECURITY.md is what the documents say, all of it.

The documents are those that `apply` would write, whichever call they stand in; so a policy that is
new, or a condition that is lost, is a difference here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.bootstrap.policy_document import Document, Statement
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import ACCOUNT, stack, with_webmail
from tests.doubles.empty_account import everything, policies

STACK = stack(handed=HandedRoutes((Addressee("ann", ("example.com",), default=True),)))
SEAL = SealStack(STACK.name, ACCOUNT, STACK.region, STACK.bucket)
WHOLE = replace(with_webmail(STACK), sealed_prefix="sealed/", seal=SEAL)
TEXT = (Path(__file__).parents[2] / ".github/SECURITY.md").read_text()

Row = tuple[str, str, str, str]
"""Who, may do what, to which, and only if."""


def rows(of: Stack) -> list[Row]:
    aws = everything(of)
    found = [row for owner, policy in policies(aws) for row in _rows(of, owner, policy)]
    for service, method, parameters in aws.calls:
        if (service, method) == ("lambda", "add_permission"):
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": parameters["Principal"]},
                "Action": parameters["Action"],
                "Resource": _function_arn(of, parameters["FunctionName"]),
                "Condition": {"ArnLike": {"aws:SourceArn": parameters["SourceArn"]}},
            }
            found.append(_row(of, "", statement))
    return sorted(set(found))


def _function_arn(of: Stack, name: str) -> str:
    return of.function_arn.replace(of.function, name)


def _rows(of: Stack, owner: str, policy: Document) -> Iterator[Row]:
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        yield _row(of, owner, {"Resource": owner.partition(",")[0], **statement})


def _row(of: Stack, owner: str, statement: Statement) -> Row:
    assert statement.keys() <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    deeds = ", ".join(_list(statement["Action"]))
    places = ", ".join(_short(of, place) for place in _list(statement["Resource"]))
    verb = {"Allow": deeds, "Deny": f"never {deeds}"}[statement["Effect"]]
    return _who(of, owner, statement), verb, places, _only_if(of, statement)


def _who(of: Stack, owner: str, statement: Statement) -> str:
    match statement.get("Principal"):
        case None:
            return owner
        case "*":
            return "anyone"
        case {"Service": service}:
            return str(service).removesuffix(".amazonaws.com")
        case {"AWS": account}:
            assert account == of.root_arn
            return "the account's administrators"
    raise AssertionError(statement)


def _only_if(of: Stack, statement: Statement) -> str:
    return "; ".join(
        f"{key} {operator} {', '.join(_short(of, value) for value in _list(wanted))}"
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _short(of: Stack, text: str) -> str:
    """Name things of the account as people do: `sqs:postamt`, and the trial's by `*`."""
    text = re.sub(
        rf"^arn:{of.partition}:([a-z0-9]+):(?:{of.region})?:(?:{ACCOUNT})?:", r"\1:", text
    )
    text = re.sub(r"-verify-[0-9a-f]{8}$", "-verify-*", text).replace(of.bucket, "BUCKET")
    return text.replace(of.webmail.site_bucket, "SITE") if of.webmail else text


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def markdown(row: Row) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") and f"`{cell}`" for cell in row) + " |"


def documented() -> list[str]:
    _, _, section = TEXT.partition("## Who may do what\n")
    section, _, _ = section.partition("\n## ")
    return [line.replace("|  |", "| |") for line in section.splitlines() if line.startswith("| `")]


def told(of: Stack) -> list[str]:
    return [markdown(row).replace("|  |", "| |") for row in rows(of)]


@pytest.mark.slow
def test_the_table_is_what_the_documents_say() -> None:
    wanted = "\n".join(told(WHOLE))
    assert "\n".join(documented()) == wanted, f"the table is to be:\n{wanted}"


CHANGED: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    # What is configured, what comes to be allowed, what is no more
    "restore": (
        {"restore": True},
        ["postamt-sync | s3:GetObject, s3:RestoreObject | s3:BUCKET/incoming/* | "],
        ["postamt-sync | s3:GetObject | s3:BUCKET/incoming/* | "],
    ),
    "no webhook": (
        {"public_url": ""},
        [],
        [
            "postamt-sync | sns:ConfirmSubscription | sns:postamt | ",
            (
                "postamt-sync | sns:GetSubscriptionAttributes, sns:SetSubscriptionAttributes | * | "
                "aws:RequestedRegion StringEquals eu-west-1"
            ),
            (
                "postamt-sync | sns:Subscribe | sns:postamt | sns:Endpoint StringEquals "
                "https://home.example.com/sns; sns:Protocol StringEquals https"
            ),
        ],
    ),
    "bounce notices": (
        {"bounce_notices": True},
        [
            (
                f"ses | sns:Publish | sns:postamt | aws:SourceAccount StringEquals {ACCOUNT}; "
                "aws:SourceArn ArnLike ses:receipt-rule-set/*:receipt-rule/postamt, "
                "ses:identity/example.com"
            ),
        ],
        [
            (
                f"ses | sns:Publish | sns:postamt | aws:SourceAccount StringEquals {ACCOUNT}; "
                "aws:SourceArn ArnLike ses:receipt-rule-set/*:receipt-rule/postamt"
            ),
        ],
    ),
    "one prefix": (
        {"recent_prefix": ""},
        [
            "postamt-sync | s3:ListBucket | s3:BUCKET | s3:prefix StringLike incoming/, incoming/*",
            (
                "ses | s3:PutObject | s3:BUCKET/incoming/* | "
                f"aws:SourceAccount StringEquals {ACCOUNT}; "
                "aws:SourceArn ArnLike ses:receipt-rule-set/*:receipt-rule/postamt"
            ),
        ],
        [
            (
                "postamt-sync | s3:ListBucket | s3:BUCKET | s3:prefix StringLike incoming/, "
                "incoming/*, recent/, recent/*"
            ),
            (
                "ses | s3:PutObject | s3:BUCKET/incoming/*, s3:BUCKET/recent/* | "
                f"aws:SourceAccount StringEquals {ACCOUNT}; "
                "aws:SourceArn ArnLike ses:receipt-rule-set/*:receipt-rule/postamt"
            ),
        ],
    ),
    "a sender a mailbox": (
        {"smtp_senders": (Addressee("ann", ("ann@example.com",)),)},
        [
            (
                "postamt-smtp-ann | ses:SendRawEmail | ses:identity/*, ses:configuration-set/* | "
                "ses:FromAddress StringEqualsIgnoreCase ann@example.com"
            ),
            (
                "postamt-smtp-ann | ses:SendRawEmail | ses:identity/*, ses:configuration-set/* | "
                "ses:FromAddress StringLike ann+*@example.com"
            ),
        ],
        [
            (
                "postamt-smtp | ses:SendRawEmail | ses:identity/*, ses:configuration-set/* | "
                "ses:FromAddress StringLike *@example.com"
            ),
        ],
    ),
    "what concerns no policy": (
        {"tls_policy": "optional", "dmarc_policy": "reject"},
        [],
        [],
    ),
}


@pytest.mark.parametrize("what", CHANGED)
def test_an_option_changes_this_and_nothing_else(what: str) -> None:
    options, more, less = CHANGED[what]
    before, after = (_told(of) for of in (STACK, replace(STACK, **options)))
    assert sorted(after - before) == sorted(more)
    assert sorted(before - after) == sorted(less)


def _told(of: Stack) -> set[str]:
    return {re.sub(r"(StringNotLike) .*", r"\1 ...", " | ".join(row)) for row in rows(of)}


def test_a_webmail_lets_the_box_read_what_was_sent_and_nobody_else_do_more() -> None:
    before, after = _told(STACK), _told(with_webmail(STACK))
    assert {line.partition(" | ")[0] for line in before - after} == {"postamt-sync"}
    more = {line for line in after - before if not re.search("webmail|s3:SITE", line)}
    assert more == {
        "postamt-sync | s3:GetObject | s3:BUCKET/incoming/*, s3:BUCKET/sent/* | ",
        (
            "postamt-sync | s3:ListBucket | s3:BUCKET | s3:prefix StringLike incoming/, "
            "incoming/*, recent/, recent/*, sent/, sent/*"
        ),
    }


@pytest.mark.parametrize(
    "options",
    [
        *(options for options, *_ in CHANGED.values()),
        {"webmail": WHOLE.webmail},
        {"seal": SEAL, "sealed_prefix": "sealed/"},
    ],
)
def test_no_right_is_a_pattern_and_none_is_unbound(options: Mapping[str, Any]) -> None:
    for who, deeds, places, only_if in rows(replace(STACK, **options)):
        if deeds.startswith("never "):
            continue
        assert "*" not in deeds
        if who in {"ses", "s3", "sns", "apigateway", "cloudfront"}:
            assert "aws:sourcearn" in only_if.lower(), "a service does it for others too"
        # These two services know no resources for it.
        assert places != "*" or re.match("cloudwatch:|sns:(Get|Set)Sub", deeds)
