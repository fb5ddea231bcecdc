"""What the sealing function may do, and what the box may do for it. Neither may delete anything."""

from __future__ import annotations

from postamt_sync.bootstrap.policy_document import (
    WHERE_NOTHING_IS,
    Document,
    Statement,
    document,
)
from postamt_sync.bootstrap.seal_stack import SealStack
from postamt_sync.mail.seal_table import STATE, WATERMARK
from postamt_sync.mail.sealed_name import SEALED_TAG


def seal_policy(stack: SealStack) -> Document:
    """Return the function's policy: read plain mail, store it sealed, and set the one tag by which
    a plain version expires."""
    plain, sealed = (f"{stack.bucket_arn}/{p}*" for p in (stack.prefix, stack.sealed_prefix))
    tag, value = SEALED_TAG
    forget: Statement = {
        "Sid": "HaveTheIndexForget",
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": stack.index_function_arn,
    }
    return document(
        {
            "Sid": "ListVersions",
            "Effect": "Allow",
            "Action": "s3:ListBucketVersions",
            "Resource": stack.bucket_arn,
            "Condition": {"StringLike": {"s3:prefix": [stack.prefix, f"{stack.prefix}*"]}},
        },
        {
            # Without versions, a tagged object could not be brought back.
            "Sid": "SeeWhetherVersionsAreKept",
            "Effect": "Allow",
            "Action": "s3:GetBucketVersioning",
            "Resource": stack.bucket_arn,
        },
        {
            # As for the index function: without it, S3 calls a missing object forbidden.
            "Sid": "TellGoneFromForbidden",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": stack.bucket_arn,
        },
        {
            "Sid": "ReadPlain",
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectVersionTagging"],
            "Resource": plain,
        },
        {
            "Sid": "TagPlain",
            "Effect": "Allow",
            "Action": "s3:PutObjectVersionTagging",
            "Resource": plain,
            "Condition": {
                "StringEquals": {f"s3:RequestObjectTag/{tag}": value},
                "ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": [tag]},
            },
        },
        {
            "Sid": "ReadSealed",
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": sealed,
        },
        {
            # Never overwrite an object, whatever the code does.
            "Sid": "StoreSealed",
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": sealed,
            "Condition": WHERE_NOTHING_IS,
        },
        {
            "Sid": "ReadRecords",
            "Effect": "Allow",
            "Action": "dynamodb:GetItem",
            "Resource": stack.table_arn,
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [WATERMARK, STATE, "proof#*"]}
            },
        },
        {
            "Sid": "WriteState",
            "Effect": "Allow",
            "Action": "dynamodb:UpdateItem",
            "Resource": stack.table_arn,
            "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [STATE]}},
        },
        *([forget] if stack.strip else []),
        {
            "Sid": "Log",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{stack.log_group_arn}:*",
        },
    )


def box_statements(stack: SealStack) -> list[Statement]:
    """Return the box's rights: write up to when all mail is settled at home (the only thing it
    writes at AWS), and read the state of sealing."""
    return [
        {
            "Sid": "SayWhatIsSettled",
            "Effect": "Allow",
            "Action": "dynamodb:UpdateItem",
            "Resource": stack.table_arn,
            "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [WATERMARK]}},
        },
        {
            "Sid": "ReadSealing",
            "Effect": "Allow",
            "Action": "dynamodb:GetItem",
            "Resource": stack.table_arn,
            "Condition": {
                "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [STATE, WATERMARK]}
            },
        },
    ]
