"""What the webmail may do: as a function at AWS, and as `webmail serve` on someone's machine."""

from __future__ import annotations

from postamt_sync.bootstrap.policies import opening_mail
from postamt_sync.bootstrap.policy_document import (
    WHERE_NOTHING_IS,
    Document,
    Statement,
    document,
)
from postamt_sync.bootstrap.webmail_stack import DAY_PREFIX, WebmailStack
from postamt_sync.mail.sent_mail import OUTBOX_PREFIX, SENT_PREFIX


def webmail_policy(stack: WebmailStack) -> Document:
    """Return the function's policy: read mail and lists, store what is written, send from the
    stack's domains.

    It reads its three parameters and no others. Decrypting them needs no permission of its own: the
    key that SSM uses is open to everybody in the account who may read the parameter.
    """
    return document(
        *_mail(stack, stack.index),
        _day_place(stack),
        _parameters(stack, "ReadKeys", stack.parameters),
        {
            "Sid": "Log",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{stack.log_group_arn}:*",
        },
    )


def serve_policy(stack: WebmailStack, index: str) -> Document:
    """Return the policy for `webmail serve`: the same, without what only the page at AWS needs.
    `index` is the table named in the configuration."""
    keys = (stack.session_keys, stack.device_keys)
    return document(*_mail(stack, index), _parameters(stack, "ReadKeys", keys))


def _mail(stack: WebmailStack, index: str) -> list[Statement]:
    bucket = stack.mail_bucket_arn
    received = [prefix for prefix in (stack.prefix, stack.recent_prefix) if prefix]
    # Sealed mail is listed, to say that it is sealed, but not read: nothing at AWS could open it.
    sealed = [stack.sealed_prefix] if stack.prefix and stack.sealed_prefix else []
    listed = [*received, SENT_PREFIX, *sealed]
    read = [*received, SENT_PREFIX, OUTBOX_PREFIX] if stack.prefix else [""]
    listing: Statement = {
        "Sid": "ListMail",
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": bucket,
    }
    if stack.prefix:
        listing["Condition"] = {
            "StringLike": {"s3:prefix": [p for prefix in listed for p in (prefix, f"{prefix}*")]}
        }
    return [
        listing,
        *([opening_mail(stack)] if stack.kms else []),
        {
            "Sid": "ReadMail",
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": [f"{bucket}/{prefix}*" for prefix in read],
        },
        {
            # Sent mail must never change.
            "Sid": "KeepSent",
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": f"{bucket}/{SENT_PREFIX}*",
            "Condition": WHERE_NOTHING_IS,
        },
        {
            "Sid": "KeepWritten",
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": f"{bucket}/{OUTBOX_PREFIX}*",
        },
        {
            "Sid": "ReadIndex",
            "Effect": "Allow",
            "Action": ["dynamodb:BatchGetItem", "dynamodb:GetItem"],
            "Resource": stack.arn_of_table(index),
        },
        {
            "Sid": "ReadIndexByTime",
            "Effect": "Allow",
            "Action": "dynamodb:Query",
            "Resource": f"{stack.arn_of_table(index)}/index/by_received",
        },
        {
            "Sid": "ReadLists",
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:Query"],
            "Resource": stack.arn_of_table(f"{index}-lists"),
        },
        {
            "Sid": "KeepRecords",
            "Effect": "Allow",
            "Action": [
                "dynamodb:DeleteItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            "Resource": stack.table_arn,
        },
        {
            # Why on more than the sender's domain: see `smtp_policy`.
            "Sid": "SendMail",
            "Effect": "Allow",
            "Action": ["ses:SendEmail", "ses:SendRawEmail"],
            "Resource": [stack.identity_arn("*"), stack.configuration_set_arn("*")],
            "Condition": {
                "StringLike": {"ses:FromAddress": [f"*@{domain}" for domain in stack.domains]}
            },
        },
    ]


def _day_place(stack: WebmailStack) -> Statement:
    """Return the rights to the files that are kept for a day. A presigned URL gives its holder what
    the function itself may do with the object."""
    return {
        "Sid": "DayPlace",
        "Effect": "Allow",
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": f"{stack.site_bucket_arn}/{DAY_PREFIX}*",
    }


def _parameters(stack: WebmailStack, sid: str, names: tuple[str, ...]) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": "ssm:GetParameters",
        "Resource": [stack.parameter_arn(name) for name in names],
    }
