"""What others may do to our bucket, topic and queues: statements that are found again by Sid."""

from __future__ import annotations

from postamt_sync.bootstrap.policy_document import Statement
from postamt_sync.bootstrap.stack import Stack


def bucket_statements(stack: Stack) -> list[Statement]:
    """SES may put mail; nobody may come without TLS (SES Developer Guide, "Giving permissions")."""
    prefixes = filter(None, {stack.prefix, stack.recent_prefix})
    whole = stack.prefix == ""
    places = [f"{stack.bucket_arn}/*"] if whole else [f"{stack.bucket_arn}/{p}*" for p in prefixes]
    return [
        {
            "Sid": "PostamtSesPut",
            "Effect": "Allow",
            "Principal": {"Service": "ses.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": sorted(places),
            "Condition": _from_our_rule(stack),
        },
        {
            "Sid": "PostamtTlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [stack.bucket_arn, f"{stack.bucket_arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]


def topic_statements(stack: Stack) -> list[Statement]:
    """The owner may all; S3 may tell of our bucket, SES of our rule and, if wanted, of bounces."""
    sources = [stack.rule_arn("*")]
    if stack.bounce_notices:
        sources += [stack.identity_arn(domain) for domain in stack.domains]
    return [
        {
            "Sid": "PostamtOwner",
            "Effect": "Allow",
            "Principal": {"AWS": stack.root_arn},
            "Action": [
                "sns:AddPermission",
                "sns:DeleteTopic",
                "sns:GetTopicAttributes",
                "sns:ListSubscriptionsByTopic",
                "sns:Publish",
                "sns:RemovePermission",
                "sns:SetTopicAttributes",
                "sns:Subscribe",
            ],
            "Resource": stack.topic_arn,
        },
        {
            "Sid": "PostamtS3Publish",
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": stack.topic_arn,
            "Condition": {
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": stack.bucket_arn},
            },
        },
        {
            "Sid": "PostamtSesPublish",
            "Effect": "Allow",
            "Principal": {"Service": "ses.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": stack.topic_arn,
            "Condition": {
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": sources},
            },
        },
    ]


def queue_statement(stack: Stack, queue: str) -> Statement:
    """Our topic may put its notifications into the queue, or those that it could not deliver."""
    return {
        "Sid": "PostamtTopicSend",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": stack.queue_arn(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": stack.topic_arn}},
    }


def _from_our_rule(stack: Stack) -> dict[str, dict[str, str]]:
    """Our rule in any rule set: a rule set that was cloned must go on working."""
    return {
        "StringEquals": {"aws:SourceAccount": stack.account},
        "ArnLike": {"aws:SourceArn": stack.rule_arn("*")},
    }
