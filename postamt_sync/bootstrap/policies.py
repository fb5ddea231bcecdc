"""What our own role and users may do: for each, the least that it needs."""

from __future__ import annotations

from postamt_sync.bootstrap.policy_document import Document, Statement, document
from postamt_sync.bootstrap.seal_policies import box_statements
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import StackPart
from postamt_sync.mail.handed_routes import ROUTES_KEY
from postamt_sync.mail.sent_mail import SENT_PREFIX


def sync_policy(stack: Stack) -> Document:
    """Return the policy for the box at home: it reads the bucket and can never write or delete."""
    sent = {SENT_PREFIX} if stack.webmail is not None else set()
    more = sent | ({stack.sealed_prefix} if stack.sealed_prefix and stack.prefix else set())
    listed = sorted(p for p in {stack.prefix, stack.recent_prefix, *more} if p)
    read = [f"{stack.bucket_arn}/{prefix}*" for prefix in sorted({stack.prefix, *more})]
    listing: Statement = {
        "Sid": "ListMail",
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": stack.bucket_arn,
    }
    if stack.prefix:
        # A GET names no prefix, so S3 calls a missing object forbidden; the daemon then looks for
        # the key in a listing (`Bucket.fetch`).
        listing["Condition"] = {
            "StringLike": {"s3:prefix": [p for prefix in listed for p in (prefix, f"{prefix}*")]}
        }
    statements: list[Statement] = [
        listing,
        {
            "Sid": "ReadMail",
            "Effect": "Allow",
            "Action": ["s3:GetObject", *(["s3:RestoreObject"] if stack.restore else [])],
            "Resource": read if len(read) > 1 else read[0],
        },
        {
            "Sid": "ConsumeQueues",
            "Effect": "Allow",
            "Action": [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
            ],
            "Resource": [
                stack.queue_arn(stack.queue),
                stack.queue_arn(stack.dead_letter_queue),
            ],
        },
        {
            "Sid": "ReadIndex",
            "Effect": "Allow",
            "Action": "dynamodb:BatchGetItem",
            "Resource": stack.table_arn,
        },
        {
            # For SES's count of mail that it could not store. CloudWatch has no resources.
            "Sid": "ReadMetrics",
            "Effect": "Allow",
            "Action": ["cloudwatch:GetMetricStatistics", "cloudwatch:ListMetrics"],
            "Resource": "*",
        },
    ]
    if stack.kms:
        statements.append(opening_mail(stack))
    if stack.seal is not None:
        statements += box_statements(stack.seal)
    if stack.public_url:
        statements += _webhook(stack)
    return document(*statements)


def smtp_policy(stack: Stack) -> Document:
    """Return the policy for mail clients: they may send from the stack's domains only.

    SES checks this permission for every SES resource that a mail involves: the identity of the
    sender's domain, one of the exact address if it exists, a default configuration set of either,
    and in the sandbox also the recipients' identities. These cannot be named in advance, so only
    the condition, which applies to all of them, limits who the sender may be. It compares the From
    header case-sensitively (IAM, StringLike): a client that writes Me@Example.com is refused.
    """
    return document(
        {
            "Sid": "SendMail",
            "Effect": "Allow",
            "Action": "ses:SendRawEmail",
            "Resource": [stack.identity_arn("*"), stack.configuration_set_arn("*")],
            "Condition": {
                "StringLike": {"ses:FromAddress": [f"*@{domain}" for domain in stack.domains]}
            },
        }
    )


def function_trust() -> Document:
    """Return the trust policy of a function's role: Lambda may assume it."""
    return document(
        {
            "Sid": "Lambda",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    )


def index_policy(stack: Stack) -> Document:
    """Return the policy for the index function: read a mail's headers, write its item and its lines
    in the lists, log, and report failures."""
    return document(
        *(_lists(stack) if stack.handed else ()),
        *((opening_mail(stack),) if stack.kms else ()),
        {
            "Sid": "WriteIndex",
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:UpdateItem"],
            "Resource": stack.table_arn,
        },
        {
            "Sid": "ReadHeaders",
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"{stack.bucket_arn}/{stack.prefix}*",
        },
        {
            # Without it, S3 calls a missing object forbidden. Not limited to a prefix: a GET has no
            # s3:prefix, so such a condition would never hold.
            "Sid": "TellGoneFromForbidden",
            "Effect": "Allow",
            "Action": "s3:ListBucket",
            "Resource": stack.bucket_arn,
        },
        {
            "Sid": "Log",
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": f"{stack.log_group_arn}:*",
        },
        {
            "Sid": "DeadLetters",
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": stack.queue_arn(stack.index_dead_letter_queue),
        },
    )


def opening_mail(stack: StackPart) -> Statement:
    """Return the statement that lets a reader decrypt what SES encrypted for this account.

    It covers all the account's keys: which one SES uses is up to the owner's receipt rule, and mail
    under an earlier key stays readable. The condition limits it to mail: SES puts the account into
    each mail's encryption context (SES Developer Guide, "Deliver to S3 bucket action"). We call KMS
    directly, not through SES or S3, so kms:ViaService would never hold. The key's own policy must
    allow it as well.
    """
    return {
        "Sid": "OpenMail",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": f"arn:{stack.partition}:kms:{stack.region}:{stack.account}:key/*",
        "Condition": {
            "StringEquals": {"kms:EncryptionContext:aws:ses:source-account": stack.account}
        },
    }


def _lists(stack: Stack) -> list[Statement]:
    """Return the rights to read the routes and write lines; a transaction needs no others."""
    routes = ROUTES_KEY["list"]["S"]
    return [
        {
            "Sid": "ReadRoutes",
            "Effect": "Allow",
            "Action": "dynamodb:GetItem",
            "Resource": stack.lists_arn,
            "Condition": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [routes]}},
        },
        {
            "Sid": "WriteLists",
            "Effect": "Allow",
            "Action": ["dynamodb:DeleteItem", "dynamodb:PutItem"],
            "Resource": stack.lists_arn,
        },
    ]


def _webhook(stack: Stack) -> list[Statement]:
    return [
        {
            "Sid": "SubscribeWebhook",
            "Effect": "Allow",
            "Action": "sns:Subscribe",
            "Resource": stack.topic_arn,
            "Condition": {
                "StringEquals": {
                    "sns:Endpoint": stack.public_url,
                    "sns:Protocol": stack.public_url.partition(":")[0],
                }
            },
        },
        {
            "Sid": "ConfirmWebhook",
            "Effect": "Allow",
            "Action": "sns:ConfirmSubscription",
            "Resource": stack.topic_arn,
        },
        {
            # These actions have no resources and no condition keys of SNS (Service Authorization
            # Reference): they can only be limited to the region.
            "Sid": "LookAfterWebhook",
            "Effect": "Allow",
            "Action": ["sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": stack.region}},
        },
    ]
