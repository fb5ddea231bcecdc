"""A stack that works is found well, and each thing that does not is named with its remedy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from postamt_sync.bootstrap.dns.records import Servers, identities, records
from postamt_sync.bootstrap.smoke_test import SmokeTest
from postamt_sync.bootstrap.stack_resources import resources
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.doctor.stack_verification import Verification
from tests.doubles.account import Account, stack
from tests.doubles.dns import NameServer

STACK = stack(domains=("verified.example",), public_url="http://127.0.0.1:9/sns")
SERVERS = Servers("home.example.com")


@pytest.fixture(autouse=True)
def _applied(account: Account) -> None:
    account.have(STACK)


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer() as running:
        yield running


def verification(account: Account, **more: Any) -> Verification:
    aws = account.aws()
    return Verification(STACK, aws, resources(STACK, aws, account.keys), SERVERS, **more)


def verify(account: Account, **more: Any) -> list[Finding]:
    return list(verification(account, **more).findings())


def failures(found: list[Finding]) -> dict[str, str]:
    assert all(f.remedy for f in found if f.outcome is not Severity.OK)
    return {f.subject: f.words for f in found if f.outcome is Severity.FAILURE}


def subscribe(account: Account) -> None:
    account.client("sns").subscribe(
        TopicArn=STACK.topic_arn, Protocol="http", Endpoint=STACK.public_url
    )


async def test_a_stack_that_works_is_well(account: Account, server: NameServer) -> None:
    subscribe(account)
    for record in records(STACK, identities(STACK, account.aws()), SERVERS):
        server.add(record.name, record.type, record.data)
    found = await asyncio.to_thread(verify, account, resolver=server.resolver)
    assert {f.outcome for f in found} == {Severity.OK}
    assert {f.subject for f in found} > {"plan", "receipt rule", "webhook", "MX verified.example"}


async def test_records_that_are_missing_are_named(account: Account, server: NameServer) -> None:
    subscribe(account)
    server.add("verified.example", "SOA", "ns.example.net. a.example.net. 1 2 3 4 5")
    found = failures(await asyncio.to_thread(verify, account, resolver=server.resolver))
    assert "MX verified.example" in found
    assert sum(subject.startswith("CNAME ") for subject in found) == 3


def test_a_notification_is_tried(account: Account) -> None:
    found = verify(account, smoke_test=SmokeTest(STACK, account.aws()))
    (told,) = [f for f in found if f.subject == "announcement"]
    assert told.outcome is Severity.OK
    assert "came after" in told.words


def test_a_notification_that_never_comes_is_a_failure(account: Account) -> None:
    account.client("s3").put_bucket_notification_configuration(
        Bucket=STACK.bucket, NotificationConfiguration={}
    )
    ticks = iter(range(0, 1000, 60))
    smoke_test = SmokeTest(STACK, account.aws(), clock=lambda: next(ticks))
    with account.refusing("sqs", "ReceiveMessage", "", status=200):
        found = failures(verify(account, smoke_test=smoke_test))
    assert found["announcement"] == "No notification of a new object came within 90 s."


def test_a_daemon_that_never_ran_is_told(account: Account) -> None:
    found = failures(verify(account))
    assert found == {"webhook": "The daemon's subscription is not confirmed."}


@pytest.mark.parametrize("arn", ["PendingConfirmation", "Deleted"])
def test_a_subscription_that_is_not_confirmed_is_none(account: Account, arn: str) -> None:
    subscribe(account)

    def unconfirmed(answer: dict[str, Any]) -> None:
        for one in answer["Subscriptions"]:
            if one["Protocol"] == "http":
                one["SubscriptionArn"] = arn

    with account.answering("sns", "ListSubscriptionsByTopic", unconfirmed):
        assert set(failures(verify(account))) == {"webhook"}
        account.destroy(STACK)


Break = Callable[[Any], object]
BREAKS: dict[str, tuple[Break, str, str]] = {
    "another rule set is active": (
        lambda c: c("ses").set_active_receipt_rule_set(),
        "receipt rule",
        "Our rule is not in the active rule set, so SES takes no mail for us.",
    ),
    "the rule is off": (
        lambda c: c("ses").update_receipt_rule(
            RuleSetName="postamt",
            Rule={**c("ses").describe_active_receipt_rule_set()["Rules"][0], "Enabled": False},
        ),
        "receipt rule",
        "Our rule is not in the active rule set, so SES takes no mail for us.",
    ),
    "the identity is gone": (
        lambda c: c("sesv2").delete_email_identity(EmailIdentity="verified.example"),
        "identity verified.example",
        "SES does not know the domain.",
    ),
    "something was changed": (
        lambda c: c("s3").delete_public_access_block(Bucket=STACK.bucket),
        f"bucket {STACK.bucket}",
        "differs: public access: block.",
    ),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_broken_is_named(account: Account, what: str) -> None:
    breaks, subject, words = BREAKS[what]
    breaks(account.client)
    assert failures(verify(account))[subject] == words


def test_a_domain_that_waits_for_dns_is_a_failure(account: Account) -> None:
    with account.answering(
        "sesv2",
        "GetEmailIdentity",
        lambda answer: (
            answer.update(VerifiedForSendingStatus=False)
            or answer["DkimAttributes"].update(Status="PENDING")
        ),
    ):
        found = failures(verify(account))
    assert "SES has not verified the domain (DKIM: pending)." in found.values()


def test_what_cannot_be_asked_does_not_end_it(account: Account) -> None:
    refused = account.refusing("ses", "DescribeActiveReceiptRuleSet", "AccessDenied", status=403)
    with refused:
        found = failures(verify(account))
    assert found["plan"] == found["rule"]
    assert "ses:DescribeActiveReceiptRuleSet" in found["rule"]
    assert "webhook" in found
