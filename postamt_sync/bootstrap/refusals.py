"""What AWS's refusals mean to the person who builds the stack: which IAM action is missing."""

from __future__ import annotations

import re

from botocore.exceptions import ClientError

from postamt_sync.aws.error_codes import message_of
from postamt_sync.aws.errors import Asker
from postamt_sync.aws.errors import refusal as refusal_of
from postamt_sync.errors import PostamtError
from postamt_sync.events import printable

_ACTION = re.compile(r"perform: ([a-z0-9-]+:[A-Za-z]+)")
_PREFIX = {"sesv2": "ses"}
_S3_ACTIONS = {
    # S3's permissions are not named after its operations (Service Authorization Reference).
    "HeadBucket": "ListBucket",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteObjects": "DeleteObject",
    "ListObjectVersions": "ListBucketVersions",
}


def refusal(service: str, error: Exception) -> PostamtError:
    """Return the sentences for what a call of `service` (boto3's name) raised."""
    action = f"AWS ({service})"
    if isinstance(error, ClientError):
        action = _action(service, error.operation_name, printable(message_of(error)))
    return refusal_of(action, error, asker=Asker.ADMINISTRATOR)


def _action(service: str, operation: str, said: str) -> str:
    named = _ACTION.search(said)
    if named:
        return named[1]
    if service == "s3":
        operation = _S3_ACTIONS.get(operation, operation)
    return f"{_PREFIX.get(service, service)}:{operation}"
