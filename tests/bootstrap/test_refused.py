"""What must be refused, tried: every action that AWS knows, by everybody who may do anything.

AWS's own list of actions comes with the linter. What the emulator cannot judge, conditions, is
judged here on the documents that `apply` would write.
"""

from __future__ import annotations

import fnmatch
import functools
import json
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from postamt_sync.bootstrap.policy_document import Document
from postamt_sync.mail.routing import Addressee
from tests.doubles.account import ACCOUNT, stack, with_webmail
from tests.doubles.empty_account import everything, policies
from tests.doubles.iam import Context, allows

STACK = with_webmail(stack(smtp_senders=(Addressee("ann", ("ann@example.com",)),)))
WEBMAIL = STACK.webmail
assert WEBMAIL is not None
OTHER = "210987654321"
RULE = STACK.rule_arn("any-set")
TOPIC = STACK.topic_arn
BUCKET = STACK.bucket_arn
INDEX_DEAD = STACK.queue_arn(STACK.index_dead_letter_queue)
QUEUES = (STACK.queue_arn(STACK.queue), STACK.queue_arn(STACK.dead_letter_queue))


@functools.cache
def documents() -> dict[str, Document]:
    """The policies by what they hang on; the topic's and the arrivals queue's share a name."""
    found: dict[str, Document] = {}
    for owner, policy in policies(everything(STACK)):
        found["queue" if owner in found else owner] = policy
    return found


@functools.cache
def actions() -> tuple[str, ...]:
    # Not imported: that warns, and takes long.
    place = distribution("parliament").locate_file("parliament/iam_definition.json")
    services = json.loads(Path(str(place)).read_text())
    return tuple(
        f"{service['prefix']}:{privilege['privilege']}"
        for service in services
        for privilege in service["privileges"]
    )


RESOURCES = (
    "*",
    BUCKET,
    f"{BUCKET}/incoming/one",
    f"{BUCKET}/recent/one",
    f"{BUCKET}/elsewhere/one",
    f"{BUCKET}/incoming",
    "arn:aws:s3:::other",
    "arn:aws:s3:::other/incoming/one",
    *QUEUES,
    INDEX_DEAD,
    STACK.queue_arn("other"),
    TOPIC,
    f"{TOPIC}-other",
    STACK.table_arn,
    f"{STACK.table_arn}/index/by_received",
    f"{STACK.table_arn}-other",
    STACK.function_arn,
    STACK.role_arn,
    f"{STACK.log_group_arn}:log-stream:one",
    f"{STACK.log_group_arn}-other:log-stream:one",
    STACK.user_arn(STACK.sync_user),
    STACK.identity_arn("example.com"),
    STACK.configuration_set_arn("main"),
    RULE,
    f"{BUCKET}/sent/ann/2026-11/one",
    f"{BUCKET}/outbox/ann/one",
    WEBMAIL.table_arn,
    f"{WEBMAIL.table_arn}-other",
    WEBMAIL.lists_arn,
    f"{WEBMAIL.lists_arn}/index/other",
    *(WEBMAIL.parameter_arn(name) for name in WEBMAIL.parameters),
    WEBMAIL.parameter_arn("/postamt/other"),
    WEBMAIL.site_bucket_arn,
    f"{WEBMAIL.site_bucket_arn}/site/index.html",
    f"{WEBMAIL.site_bucket_arn}/day/one",
    WEBMAIL.function_arn,
    WEBMAIL.role_arn,
    f"{WEBMAIL.log_group_arn}:log-stream:one",
    f"arn:aws:sqs:eu-central-1:{ACCOUNT}:postamt",
    f"arn:aws:sqs:eu-west-1:{OTHER}:postamt",
)
CONTEXT: Context = {
    # All that could hold, so that nothing is refused for want of it.
    "s3:prefix": "incoming/",
    "sns:Endpoint": STACK.public_url,
    "sns:Protocol": "https",
    "aws:RequestedRegion": STACK.region,
    "ses:FromAddress": "ann@example.com",
    "s3:if-none-match": "*",
}
WHATEVER = set(RESOURCES)
"""Where the service knows no resources for an action."""

MAY: dict[str, dict[str, set[str]]] = {
    STACK.sync_user: {
        "s3:ListBucket": {BUCKET},
        "s3:GetObject": {f"{BUCKET}/incoming/one", f"{BUCKET}/sent/ann/2026-11/one"},
        **{
            f"sqs:{deed}": set(QUEUES)
            for deed in (
                "ChangeMessageVisibility",
                "DeleteMessage",
                "GetQueueAttributes",
                "ReceiveMessage",
            )
        },
        "dynamodb:BatchGetItem": {STACK.table_arn},
        "cloudwatch:GetMetricStatistics": WHATEVER,
        "cloudwatch:ListMetrics": WHATEVER,
        "sns:Subscribe": {TOPIC},
        "sns:ConfirmSubscription": {TOPIC},
        "sns:GetSubscriptionAttributes": WHATEVER,
        "sns:SetSubscriptionAttributes": WHATEVER,
    },
    STACK.role: {
        "dynamodb:GetItem": {STACK.table_arn},
        "dynamodb:UpdateItem": {STACK.table_arn},
        "s3:GetObject": {f"{BUCKET}/incoming/one"},
        "s3:ListBucket": {BUCKET},
        "logs:CreateLogStream": {f"{STACK.log_group_arn}:log-stream:one"},
        "logs:PutLogEvents": {f"{STACK.log_group_arn}:log-stream:one"},
        "sqs:SendMessage": {INDEX_DEAD},
    },
    WEBMAIL.role: {
        "s3:ListBucket": {BUCKET},
        "s3:GetObject": {
            *(f"{BUCKET}/{key}/one" for key in ("incoming", "recent", "outbox/ann")),
            f"{BUCKET}/sent/ann/2026-11/one",
            f"{WEBMAIL.site_bucket_arn}/day/one",
        },
        "s3:PutObject": {
            f"{BUCKET}/sent/ann/2026-11/one",
            f"{BUCKET}/outbox/ann/one",
            f"{WEBMAIL.site_bucket_arn}/day/one",
        },
        "dynamodb:BatchGetItem": {STACK.table_arn},
        "dynamodb:GetItem": {STACK.table_arn, WEBMAIL.lists_arn, WEBMAIL.table_arn},
        "dynamodb:Query": {
            f"{STACK.table_arn}/index/by_received",
            WEBMAIL.lists_arn,
            WEBMAIL.table_arn,
        },
        **{f"dynamodb:{deed}Item": {WEBMAIL.table_arn} for deed in ("Delete", "Put", "Update")},
        "ses:SendEmail": {STACK.identity_arn("example.com"), STACK.configuration_set_arn("main")},
        "ses:SendRawEmail": {
            STACK.identity_arn("example.com"),
            STACK.configuration_set_arn("main"),
        },
        "ssm:GetParameters": {WEBMAIL.parameter_arn(name) for name in WEBMAIL.parameters},
        "logs:CreateLogStream": {f"{WEBMAIL.log_group_arn}:log-stream:one"},
        "logs:PutLogEvents": {f"{WEBMAIL.log_group_arn}:log-stream:one"},
    },
    STACK.smtp_user_of("ann"): {
        "ses:SendRawEmail": {
            STACK.identity_arn("example.com"),
            STACK.configuration_set_arn("main"),
        },
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("who", MAY)
def test_of_all_that_aws_knows_each_may_do_this_and_nothing_else(who: str) -> None:
    policy = documents()[who]
    assert len(actions()) > 10_000
    assert set(MAY[who]) <= set(actions())
    found = {action: set(_may(policy, action)) for action in actions() if _names(policy, action)}
    assert {action: places for action, places in found.items() if places} == MAY[who]


def _names(policy: Document, action: str) -> bool:
    """Tell whether a statement has the action at all, which is quickly told."""
    return any(
        fnmatch.fnmatchcase(action.lower(), pattern.lower())
        for statement in policy["Statement"]
        for pattern in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    )


def _may(policy: Document, action: str) -> Iterator[str]:
    yield from (place for place in RESOURCES if allows(policy, action, place, CONTEXT))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("who", "action", "place", "context"),
    [
        (STACK.sync_user, "s3:ListBucket", BUCKET, {}),
        (STACK.sync_user, "s3:ListBucket", BUCKET, {"s3:prefix": ""}),
        (STACK.sync_user, "s3:ListBucket", BUCKET, {"s3:prefix": "elsewhere/"}),
        (STACK.sync_user, "s3:ListBucket", BUCKET, {"s3:prefix": "incoming"}),
        (STACK.sync_user, "sns:Subscribe", TOPIC, {}),
        (STACK.sync_user, "sns:Subscribe", TOPIC, {**CONTEXT, "sns:Protocol": "http"}),
        (STACK.sync_user, "sns:Subscribe", TOPIC, {**CONTEXT, "sns:Protocol": "email"}),
        (
            STACK.sync_user,
            "sns:Subscribe",
            TOPIC,
            {**CONTEXT, "sns:Endpoint": "https://x.test/sns"},
        ),
        (STACK.sync_user, "sns:SetSubscriptionAttributes", "*", {}),
        (
            STACK.sync_user,
            "sns:SetSubscriptionAttributes",
            "*",
            {"aws:RequestedRegion": "eu-central-1"},
        ),
        *(
            (WEBMAIL.role, "s3:ListBucket", BUCKET, {"s3:prefix": prefix})
            for prefix in ("", "elsewhere/", "incoming", "outbox/", "sent")
        ),
        (WEBMAIL.role, "s3:ListBucket", BUCKET, {}),
        (WEBMAIL.role, "s3:PutObject", f"{BUCKET}/sent/ann/2026-11/one", {}),
        *(
            (WEBMAIL.role, f"ses:{deed}", STACK.identity_arn("example.com"), more)
            for deed in ("SendEmail", "SendRawEmail")
            for more in ({}, {"ses:FromAddress": "ann@example.net"})
        ),
        *(
            (STACK.smtp_user_of("ann"), "ses:SendRawEmail", STACK.identity_arn("example.com"), more)
            for more in ({}, *({"ses:FromAddress": f"{x}@example.com"} for x in ("ben", "bann")))
        ),
    ],
)
def test_out_of_its_conditions_nobody_may(
    who: str, action: str, place: str, context: Context
) -> None:
    assert allows(documents()[who], action, place, CONTEXT)
    assert not allows(documents()[who], action, place, context)


SES, S3, SNS = (f"{name}.amazonaws.com" for name in ("ses", "s3", "sns"))
TLS = {"aws:SecureTransport": "true"}
FROM_RULE = {**TLS, "aws:SourceAccount": ACCOUNT, "aws:SourceArn": RULE}
FROM_BUCKET = {**TLS, "aws:SourceAccount": ACCOUNT, "aws:SourceArn": BUCKET}
FROM_TOPIC = {**TLS, "aws:SourceArn": TOPIC}
PUT = (STACK.bucket, SES, "s3:PutObject", f"{BUCKET}/incoming/one", FROM_RULE)
TELL_OF_MAIL = (STACK.name, SES, "sns:Publish", TOPIC, FROM_RULE)
TELL_OF_OBJECTS = (STACK.name, S3, "sns:Publish", TOPIC, FROM_BUCKET)
FILL = ("queue", SNS, "sqs:SendMessage", QUEUES[0], FROM_TOPIC)
FILL_DEAD = (STACK.dead_letter_queue, SNS, "sqs:SendMessage", QUEUES[1], FROM_TOPIC)

Request = tuple[str, str, str, str, Context]
"""The policy that is asked, who asks, for what, of which, and from where."""
GOOD: tuple[Request, ...] = (PUT, TELL_OF_MAIL, TELL_OF_OBJECTS, FILL, FILL_DEAD)


def judged(request: Request) -> bool:
    policy, principal, action, resource, context = request
    return allows(documents()[policy], action, resource, context, principal)


def refused() -> Iterator[tuple[str, Request]]:
    """Yield every good request with one thing about it wrong."""
    for policy, who, action, place, where in GOOD:
        name = f"{who}: {action}"
        for other in (SES, S3, SNS, "lambda.amazonaws.com", f"arn:aws:iam::{OTHER}:root"):
            if other != who and (policy, other) not in {(g[0], g[1]) for g in GOOD}:
                yield f"{name} by {other}", (policy, other, action, place, where)
        for key in sorted(where.keys() - TLS.keys()):
            without = {k: v for k, v in where.items() if k != key}
            yield f"{name} without {key}", (policy, who, action, place, without)
        yield (
            f"{name} of {OTHER}",
            (
                *(policy, who, action, place),
                {k: v.replace(ACCOUNT, OTHER) for k, v in where.items()},
            )
            if ACCOUNT in str(where)
            else (policy, who, action, f"{place}x", where),
        )
        source = where["aws:SourceArn"]
        for wrong in (f"{source}x", source.replace("postamt", "other"), f"arn:aws:x:::{source}"):
            yield (
                f"{name} from {wrong}",
                (policy, who, action, place, {**where, "aws:SourceArn": wrong}),
            )
        for deed in ("s3:DeleteObject", "s3:GetObject", "sns:Subscribe", "sqs:ReceiveMessage"):
            yield f"{name}: {deed}", (policy, who, deed, place, where)
        if action.startswith("s3:"):
            plain = {**where, "aws:SecureTransport": "false"}
            yield f"{name} in the clear", (policy, who, action, place, plain)
            for key in ("elsewhere/one", "incoming", "one"):
                yield f"{name} {key}", (policy, who, action, f"{BUCKET}/{key}", where)


REFUSED = dict(refused())


@pytest.mark.parametrize("request_", GOOD, ids=lambda each: f"{each[1]} {each[2]}")
def test_services_do_what_they_are_for(request_: Request) -> None:
    assert judged(request_)


@pytest.mark.parametrize("what", REFUSED)
def test_services_do_it_for_nobody_else(what: str) -> None:
    assert not judged(REFUSED[what])


def test_nobody_comes_without_tls() -> None:
    plain = {"aws:SecureTransport": "false"}
    for action in ("s3:GetObject", "s3:ListBucket", "s3:DeleteObject"):
        policy = documents()[STACK.bucket]
        denials = {**policy, "Statement": [s for s in policy["Statement"] if s["Effect"] == "Deny"]}
        allowing = {**denials["Statement"][0], "Effect": "Allow"}
        assert allows({**policy, "Statement": [allowing]}, action, BUCKET, plain, "anybody")
        assert not allows({**policy, "Statement": [allowing]}, action, BUCKET, TLS, "anybody")


def test_the_administrators_keep_the_topic_and_no_other_account_has_it() -> None:
    policy = documents()[STACK.name]
    assert allows(policy, "sns:SetTopicAttributes", TOPIC, TLS, STACK.root_arn)
    other = STACK.root_arn.replace(ACCOUNT, OTHER)
    assert not allows(policy, "sns:SetTopicAttributes", TOPIC, TLS, other)
