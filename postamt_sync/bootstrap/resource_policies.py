"""What others may do with our bucket, topic and queues: statements recognized by their Sid."""

from __future__ import annotations

from postamt_sync.bootstrap.policy_document import Statement
from postamt_sync.bootstrap.stack import Stack


def bucket_statements(stack: Stack) -> list[Statement]:
    """Let SES store mail, and deny all access without TLS (SES Developer Guide, "Giving
    permissions")."""
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
    """Give the owner full access, and let S3 publish for our bucket and SES for our rule and, if
    wanted, for bounces."""
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
    """Let our topic send its notifications, or those it could not deliver, to the queue."""
    return {
        "Sid": "PostamtTopicSend",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": stack.queue_arn(queue),
        "Condition": {"ArnEquals": {"aws:SourceArn": stack.topic_arn}},
    }


def _from_our_rule(stack: Stack) -> dict[str, dict[str, str]]:
    """Restrict to our rule, in any rule set: a cloned rule set must keep working."""
    return {
        "StringEquals": {"aws:SourceAccount": stack.account},
        "ArnLike": {"aws:SourceArn": stack.rule_arn("*")},
    }
