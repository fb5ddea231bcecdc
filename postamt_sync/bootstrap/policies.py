"""What our own role and users may do, each as little as its use allows."""

from __future__ import annotations

from postamt_sync.bootstrap.policy_document import Document, Statement, document
from postamt_sync.bootstrap.seal_policies import box_statements
from postamt_sync.bootstrap.stack import Stack
from postamt_sync.bootstrap.stack_part import StackPart
from postamt_sync.mail.handed_routes import ROUTES_KEY
from postamt_sync.mail.sent_mail import SENT_PREFIX


def sync_policy(stack: Stack) -> Document:
    """The box at home: it reads, and can neither put nor delete anything in the bucket, ever."""
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
        # A GET names no prefix, so S3 says of an object that is gone that it is forbidden: the
        # daemon then looks for the key in a listing (`Bucket.fetch`).
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
            # CloudWatch knows no resources: SES's count of mail that it could not store.
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
    """The people's mail clients: send from these domains only, to whom SES lets them.

    SES asks for this right once for each thing of its own that a mail touches: the identity of the
    sender's domain, an identity of the very address if someone made one, a configuration set that
    either has by default, in the sandbox also the identities of the recipients. None of these can
    be named beforehand; who may be the sender is for the condition alone to say, which holds for
    all of them. It looks at the From header and minds case (IAM, StringLike): a client that writes
    Me@Example.com is refused.
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
    """Lambda may act as the role of a function."""
    return document(
        {
            "Sid": "Lambda",
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    )


def index_policy(stack: Stack) -> Document:
    """The index function: read a mail's headers, write its item and its lines in the lists, log,
    and tell of failures."""
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
            # Without it an object that is gone looks like one that is forbidden. Not bound to a
            # prefix: s3:prefix is no part of a GET, and the condition would never hold.
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
    """Whoever reads mail may open what SES encrypted, in this account's name, and nothing else.

    Which key that is stands in the receipt rule of whoever made it, and a key may be changed while
    mail under the former one stays. SES names the account in the encryption context of each mail
    (SES Developer Guide, "Deliver to S3 bucket action"). The keys are used directly, not by way of
    SES or S3, so kms:ViaService would never hold. The key's own policy has to allow it too.
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
    """Who gets what may be read, lines may be written; a transaction asks for nothing more."""
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
            # SNS knows no resources and no keys of its own for these (Service Authorization
            # Reference): the region is all that they can be bound to.
            "Sid": "LookAfterWebhook",
            "Effect": "Allow",
            "Action": ["sns:GetSubscriptionAttributes", "sns:SetSubscriptionAttributes"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:RequestedRegion": stack.region}},
        },
    ]
