"""What the policies say, conditions too, and what a linter says of them."""

from __future__ import annotations

import functools
import gc
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import botocore.session
import pytest

from postamt_sync.bootstrap import policies, resource_policies
from postamt_sync.bootstrap.policy_document import (
    Document,
    Statement,
    differences,
    document,
    same,
    text,
)
from postamt_sync.bootstrap.sender_policy import sender_policy
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.webmail_policies import serve_policy, webmail_policy
from postamt_sync.bootstrap.webmail_stack import WebmailStack
from postamt_sync.mail.handed_routes import HandedRoutes
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import ACCOUNT, stack, with_webmail
from tests.doubles.empty_account import everything
from tests.doubles.empty_account import policies as written_policies

STACK = stack(domains=("example.com", "example.org"))
SYNC = policies.sync_policy(STACK)
FROM_OUR_RULE = {
    "StringEquals": {"aws:SourceAccount": ACCOUNT},
    "ArnLike": {
        "aws:SourceArn": (
            f"arn:aws:ses:eu-west-1:{ACCOUNT}:receipt-rule-set/*:receipt-rule/postamt"
        )
    },
}


def the(policy: Document, sid: str) -> Statement:
    (found,) = (s for s in policy["Statement"] if s["Sid"] == sid)
    return dict(found)


def test_the_box_lists_its_two_prefixes_only() -> None:
    prefixes = ["incoming/", "incoming/*", "recent/", "recent/*"]
    assert the(SYNC, "ListMail")["Condition"] == {"StringLike": {"s3:prefix": prefixes}}
    assert the(SYNC, "ReadMail")["Resource"] == f"{STACK.bucket_arn}/incoming/*"


def test_with_a_webmail_the_box_reads_what_was_sent_too_and_not_what_is_to_be_sent() -> None:
    webmail = WebmailStack("postamt", ACCOUNT, "eu-west-1", "webmail.example.com", STACK.bucket)
    policy = policies.sync_policy(replace(STACK, webmail=webmail))
    prefixes = the(policy, "ListMail")["Condition"]["StringLike"]["s3:prefix"]
    assert prefixes == ["incoming/", "incoming/*", "recent/", "recent/*", "sent/", "sent/*"]
    read = [f"{STACK.bucket_arn}/incoming/*", f"{STACK.bucket_arn}/sent/*"]
    assert the(policy, "ReadMail")["Resource"] == read
    assert "outbox" not in text(policy)


def test_the_box_subscribes_its_own_webhook_only() -> None:
    statement = the(SYNC, "SubscribeWebhook")
    assert statement["Resource"] == STACK.topic_arn
    assert statement["Condition"] == {
        "StringEquals": {"sns:Endpoint": STACK.public_url, "sns:Protocol": "https"}
    }
    assert the(SYNC, "ConfirmWebhook")["Resource"] == STACK.topic_arn


def test_without_a_webhook_the_box_asks_nothing_of_sns() -> None:
    assert "sns:" not in text(policies.sync_policy(stack(public_url="")))


def test_no_policy_of_the_box_puts_or_deletes_in_the_bucket() -> None:
    actions = [action for s in SYNC["Statement"] for action in _list(s["Action"])]
    assert [a for a in actions if a.startswith("s3:")] == ["s3:ListBucket", "s3:GetObject"]
    assert not any("*" in action for action in actions)


def test_mail_clients_send_from_our_domains_only() -> None:
    statement = the(policies.smtp_policy(STACK), "SendMail")
    assert statement["Action"] == "ses:SendRawEmail"
    assert statement["Resource"] == [
        f"arn:aws:ses:eu-west-1:{ACCOUNT}:identity/*",
        f"arn:aws:ses:eu-west-1:{ACCOUNT}:configuration-set/*",
    ]
    addresses = {"ses:FromAddress": ["*@example.com", "*@example.org"]}
    assert statement["Condition"] == {"StringLike": addresses}


@pytest.mark.slow
@pytest.mark.parametrize("region", ["cn-north-1", "us-gov-west-1", "eusc-de-east-1", "eu-west-1"])
def test_arns_name_the_partition_of_their_region(region: str) -> None:
    partition = botocore.session.Session().get_partition_for_region(region)
    elsewhere = stack(region=region, bounce_notices=True)
    written = "".join(text(policy(elsewhere)) for policy in POLICIES.values())
    arns = set(re.findall(r"arn:([a-z-]*):", written))
    assert arns == {partition}
    account = document({"Sid": "One", "Principal": {"AWS": ACCOUNT}})
    assert same(account, document({"Sid": "One", "Principal": {"AWS": elsewhere.root_arn}}))


def test_ses_puts_by_our_rule_only_and_nobody_comes_without_tls() -> None:
    bucket = document(*resource_policies.bucket_statements(STACK))
    put = the(bucket, "PostamtSesPut")
    assert put["Principal"] == {"Service": "ses.amazonaws.com"}
    assert put["Condition"] == FROM_OUR_RULE
    assert put["Resource"] == [f"{STACK.bucket_arn}/incoming/*", f"{STACK.bucket_arn}/recent/*"]
    tls = the(bucket, "PostamtTlsOnly")
    assert (tls["Effect"], tls["Principal"], tls["Action"]) == ("Deny", "*", "s3:*")
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_our_bucket_and_our_rule_are_announced() -> None:
    topic = document(*resource_policies.topic_statements(STACK))
    assert the(topic, "PostamtS3Publish")["Condition"] == {
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
        "ArnLike": {"aws:SourceArn": STACK.bucket_arn},
    }
    assert same(the(topic, "PostamtSesPublish")["Condition"], FROM_OUR_RULE)


def test_bounces_of_our_domains_are_announced_where_wanted() -> None:
    topic = document(*resource_policies.topic_statements(stack(bounce_notices=True)))
    sources = the(topic, "PostamtSesPublish")["Condition"]["ArnLike"]["aws:SourceArn"]
    assert f"arn:aws:ses:eu-west-1:{ACCOUNT}:identity/example.com" in sources


def test_only_our_topic_fills_the_queues() -> None:
    statement = resource_policies.queue_statement(STACK, STACK.queue)
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": STACK.topic_arn}}
    assert statement["Resource"] == STACK.queue_arn("postamt")


ANNA = Addressee("anna", ("anna@example.com", "a$*{x}@example.com"), default=True)
WHOLE = Addressee("whole", ("example.com", ".example.org"))


def _owned(of: Stack) -> Stack:
    return replace(of, smtp_senders=(ANNA, WHOLE))


def _webmail(of: Stack) -> WebmailStack:
    found = with_webmail(of).webmail
    assert found is not None
    return found


POLICIES: dict[str, Callable[[Stack], Document]] = {
    "sync": policies.sync_policy,
    "smtp": policies.smtp_policy,
    "smtp of a mailbox": lambda s: sender_policy(_owned(s), ANNA),
    "smtp of a whole domain": lambda s: sender_policy(_owned(s), WHOLE),
    "index": policies.index_policy,
    "webmail": lambda s: webmail_policy(_webmail(s)),
    "webmail serve": lambda s: serve_policy(_webmail(s), "index"),
    "bucket": lambda s: document(*resource_policies.bucket_statements(s)),
    "topic": lambda s: document(*resource_policies.topic_statements(s)),
    "queue": lambda s: document(resource_policies.queue_statement(s, s.queue)),
}
STACKS = {
    "usual": STACK,
    "whole bucket": stack(prefix="", recent_prefix=""),
    "without a webhook": stack(public_url=""),
    "with notices of bounces": stack(bounce_notices=True),
    "with archives": stack(restore=True),
    "a sender a mailbox": _owned(STACK),
    "with a webmail": with_webmail(STACK),
    "with a webmail and the whole bucket": with_webmail(stack(prefix="", recent_prefix="")),
    "routes handed over": stack(handed=HandedRoutes((Addressee("a", ("a.example",), True),))),
}


@pytest.mark.slow
@pytest.mark.parametrize("where", STACKS)
def test_the_linter_finds_nothing_in_any_policy_that_is_written(where: str) -> None:
    written = list(written_policies(everything(STACKS[where])))
    assert len(written) >= 9
    for owner, policy in written:
        assert findings(_with_resource(policy)) == [], owner


def _with_resource(policy: Document) -> Document:
    """Name the resource of a role's trust, which it has none in: the role itself."""
    return {**policy, "Statement": [{"Resource": STACK.role_arn, **s} for s in policy["Statement"]]}


@pytest.mark.slow
def test_mail_that_ses_encrypted_is_opened_in_this_account_s_name_only() -> None:
    """By kms = true alone, and directly: kms:ViaService would never hold."""
    on = replace(STACK, kms=True)
    web = WebmailStack(STACK.name, ACCOUNT, STACK.region, "m.example.com", STACK.bucket)
    off = [policies.sync_policy(STACK), policies.index_policy(STACK), webmail_policy(web)]
    assert not any("kms:" in text(each) for each in off)
    for each in (
        policies.sync_policy(on),
        policies.index_policy(on),
        webmail_policy(replace(web, kms=True)),
        serve_policy(replace(web, kms=True), "index"),
    ):
        (found,) = [s for s in each["Statement"] if "kms:" in str(s)]
        assert found == {
            "Sid": "OpenMail",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": f"arn:aws:kms:{STACK.region}:{ACCOUNT}:key/*",
            "Condition": {
                "StringEquals": {"kms:EncryptionContext:aws:ses:source-account": ACCOUNT}
            },
        }
        assert findings(each) == []
    assert policies.smtp_policy(on) == policies.smtp_policy(STACK)


@pytest.mark.slow
def test_the_linter_would_find_what_is_wrong() -> None:
    statement = {"Sid": "Bad", "Effect": "Allow", "Action": "s3:ReadMail", "Resource": "*"}
    assert findings(document(statement))


def findings(policy: Document) -> list[str]:
    return [f"{f.issue}: {f.title} {f.detail}" for f in linter()(text(policy)).findings]


@functools.cache
def linter() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on import it leaves files open
        from parliament import analyze_policy_string  # noqa: PLC0415

        gc.collect()
    return analyze_policy_string


def reordered(statement: Statement) -> Statement:
    """The statement as AWS may give it back."""
    again: Statement = dict(reversed(statement.items()))
    for name in ("Action", "Resource"):
        values = _list(statement[name])
        again[name] = list(reversed(values)) if len(values) > 1 else values[0]
    again["Action"] = [
        f"{a.partition(':')[0].upper()}:{a.partition(':')[2]}" for a in _list(again["Action"])
    ]
    again["Principal"] = {"AWS": "*"} if again["Principal"] == "*" else again["Principal"]
    if again["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}:
        again["Principal"] = {"AWS": [ACCOUNT]}
    return again


def test_what_aws_writes_in_another_way_is_no_difference() -> None:
    ours = [*resource_policies.bucket_statements(STACK), *resource_policies.topic_statements(STACK)]
    there = document(*(reordered(statement) for statement in reversed(ours)))
    assert there["Statement"] != ours
    assert list(differences(there, ours)) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"Effect": "Deny"},
        {"Action": "s3:PutObjectAcl"},
        {"Principal": {"Service": "sns.amazonaws.com"}},
        {"Principal": {"AWS": "*"}},
        {"Resource": f"{STACK.bucket_arn}/*"},
        {"Condition": {"StringEquals": {"aws:SourceAccount": "210987654321"}}},
    ],
)
def test_what_says_something_else_is_one(changed: Statement) -> None:
    ours = resource_policies.bucket_statements(STACK)
    there = document({**ours[0], **changed}, ours[1])
    assert list(differences(there, ours)) == ["statement PostamtSesPut: was changed, restore it"]


def test_a_statement_that_stands_alone_is_read() -> None:
    (ours,) = [resource_policies.queue_statement(STACK, STACK.queue)]
    assert list(differences({"Version": "2012-10-17", "Statement": ours}, [ours])) == []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
