"""What AWS's refusals mean to the person who builds the stack."""

from __future__ import annotations

import re
from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigParseError,
    CredentialRetrievalError,
    InvalidConfigError,
    LoginError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from postamt_sync.errors import MisconfiguredError, PostamtError, TryLaterError
from postamt_sync.events import printable

_PLAN = "postamt-sync bootstrap plan"
_UNUSABLE = (
    ConfigParseError,
    CredentialRetrievalError,
    InvalidConfigError,
    LoginError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)


class ForbiddenError(MisconfiguredError):
    """The credentials are good, and may not do this one thing."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a group of error codes means; `{action}` and `{said}` are filled in."""

    codes: frozenset[str]
    kind: type[PostamtError]
    problem: str
    hint: str


_MEANINGS = (
    _Meaning(
        frozenset(
            {
                "403",
                "AccessDenied",
                "AccessDeniedException",
                "AuthorizationError",
                "AuthorizationErrorException",
                "Forbidden",
                "UnauthorizedOperation",
            }
        ),
        ForbiddenError,
        "The AWS credentials may not {action}.",
        "Use those of an administrator, or allow this action. AWS says: {said}",
    ),
    _Meaning(
        frozenset(
            {
                "InvalidAccessKeyId",
                "InvalidClientTokenId",
                "InvalidSignatureException",
                "SignatureDoesNotMatch",
                "UnrecognizedClientException",
            }
        ),
        MisconfiguredError,
        "AWS does not know these credentials.",
        "Look at AWS_PROFILE and the keys it leads to. AWS says: {said}",
    ),
    _Meaning(
        frozenset({"ExpiredToken", "ExpiredTokenException"}),
        MisconfiguredError,
        "The AWS credentials have expired.",
        "Renew them, and try again.",
    ),
    _Meaning(
        frozenset({"RequestExpired", "RequestTimeTooSkewed"}),
        TryLaterError,
        "AWS finds the clock of this machine wrong.",
        "Set it: timedatectl.",
    ),
    _Meaning(
        frozenset(
            {
                "RequestLimitExceeded",
                "RequestThrottled",
                "SlowDown",
                "Throttling",
                "ThrottlingException",
                "TooManyRequestsException",
            }
        ),
        TryLaterError,
        "AWS throttles us at {action}.",
        "Wait a minute and run it again: it goes on where it was.",
    ),
    _Meaning(
        frozenset({"LimitExceeded", "LimitExceededException", "TooManyBuckets"}),
        MisconfiguredError,
        "A limit of the AWS account is reached at {action}: {said}.",
        "Take away what is no longer needed, or raise it in the console under Service Quotas.",
    ),
    _Meaning(
        frozenset({"BucketAlreadyExists"}),
        MisconfiguredError,
        "The bucket's name is taken by another account.",
        "Choose one that ends in -ACCOUNT-REGION-an: those names belong to this account alone.",
    ),
    _Meaning(
        frozenset(
            {
                "AlreadyExists",
                "AlreadyExistsException",
                "BucketAlreadyOwnedByYou",
                "EntityAlreadyExists",
                "OperationAborted",
                "QueueAlreadyExists",
                "ResourceConflictException",
                "ResourceInUseException",
            }
        ),
        TryLaterError,
        "Somebody else works on the same thing ({action}): {said}.",
        f"Look again with: {_PLAN}",
    ),
)
_ANYTHING_ELSE = _Meaning(
    frozenset(),
    TryLaterError,
    "AWS refused {action}: {code}: {said}.",
    "What was done stays done; run it again when the cause is mended.",
)

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


def refusal(service: str, error: ClientError | BotoCoreError) -> PostamtError:
    """Return the sentences for an error that a call of `service` (boto3's name) met."""
    if isinstance(error, ClientError):
        return _refused(service, error)
    said = printable(str(error)).rstrip(".")
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return MisconfiguredError(
            "There are no AWS credentials, or only half of them.",
            "Give those of an administrator to the AWS SDK: aws configure, aws sso login, "
            "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if isinstance(error, _UNUSABLE):
        return MisconfiguredError(
            f"The AWS credentials cannot be had: {said}.", "Mend AWS_PROFILE, or log in again."
        )
    return TryLaterError(
        f"AWS could not be reached: {said}.", "Look at the network and at aws.region."
    )


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _refused(service: str, error: ClientError) -> PostamtError:
    code = code_of(error)
    said = printable(str(error.response.get("Error", {}).get("Message", ""))).rstrip(".")
    facts = {
        "action": _action(service, error.operation_name, said),
        "code": printable(code),
        "said": said or "nothing more",
    }
    meaning = next((m for m in _MEANINGS if code in m.codes), _ANYTHING_ELSE)
    return meaning.kind(meaning.problem.format(**facts), meaning.hint.format(**facts))


def _action(service: str, operation: str, said: str) -> str:
    named = _ACTION.search(said)
    if named:
        return named[1]
    if service == "s3":
        operation = _S3_ACTIONS.get(operation, operation)
    return f"{_PREFIX.get(service, service)}:{operation}"
