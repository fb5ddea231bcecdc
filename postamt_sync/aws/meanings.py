"""The sentences for each cause of an AWS error: what is wrong and what to do about it.

The daemon keeps trying, so for it everything but TokenError is temporary. `bootstrap` and `doctor`
are used by an administrator, who wants to know which IAM action is missing.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from postamt_sync.aws.error_codes import ErrorCause
from postamt_sync.aws.regions import OPT_IN, RECEIVING, WITHOUT_OWN_NAMESPACE
from postamt_sync.errors import (
    CredentialsError,
    MisconfiguredError,
    PostamtError,
    TryLaterError,
)


class TokenError(PostamtError):
    """AWS does not accept this confirmation token, and never will."""

    temporary = False


class ForbiddenError(CredentialsError):
    """The credentials are valid, but may not do this."""


class Asker(enum.Enum):
    """Who reads the sentences."""

    DAEMON = enum.auto()
    ADMINISTRATOR = enum.auto()


@dataclass(frozen=True, slots=True)
class Meaning:
    """Problem and hint, with placeholders: {what} was attempted, the {name} of the resource, the
    error {code} and what was {said}; in hints also the places of `as_it_runs`. AWS's message is
    appended to the hint unless it has a placeholder.
    """

    kind: type[PostamtError]
    problem: str
    hint: str


_ENABLE_REGION = (
    "if aws.region is one of those that an account has to enable "
    f"({', '.join(sorted(OPT_IN & RECEIVING))}), enable it in the console under Account, AWS "
    "Regions."
)
_SET_CLOCK = "Set it, for example: timedatectl set-ntp true"
_PROXY = "Check whether a proxy or login page stands between us and AWS; "
_SETTINGS = "Check AWS_PROFILE, AWS_ENDPOINT_URL, AWS_CA_BUNDLE and {config}."
GIVE_CREDENTIALS = "Put them into {give}."
_NO_HASTE = "Wait a minute and run it again: it goes on where it was."
_CERTIFICATE = (
    "Check whether a proxy or login page stands between us and AWS, AWS_CA_BUNDLE, and the "
    "clock: timedatectl."
)

_FOR_BOTH = {
    ErrorCause.NO_CAPACITY: Meaning(
        TryLaterError,
        "S3 has no capacity for Expedited right now.",
        "Try again later, or with --tier Standard.",
    ),
    ErrorCause.ACCOUNT: Meaning(
        CredentialsError,
        "AWS refuses the account as a whole ({code}).",
        "Look for mail from AWS about the account, and at its billing page; " + _ENABLE_REGION,
    ),
    ErrorCause.SESSION_TOKEN: Meaning(
        CredentialsError,
        "AWS does not accept our session token.",
        "Get new temporary credentials, or remove AWS_SESSION_TOKEN if the keys are permanent. In "
        "a region that had to be enabled only tokens of a regional STS endpoint are good: "
        "AWS_STS_REGIONAL_ENDPOINTS=regional.",
    ),
    ErrorCause.CLOCK: Meaning(
        TryLaterError, "AWS says that this machine's clock is wrong.", _SET_CLOCK
    ),
    ErrorCause.SETTINGS: Meaning(
        MisconfiguredError, "The AWS settings cannot be used: {said}.", _SETTINGS
    ),
}  # fmt: skip

_FOR_THE_DAEMON = _FOR_BOTH | {
    ErrorCause.FORBIDDEN: Meaning(
        ForbiddenError,
        "The AWS credentials may not {what}.",
        "Allow it in the sync user's policy: postamt-sync bootstrap apply",
    ),
    ErrorCause.UNKNOWN_KEY: Meaning(
        CredentialsError,
        "AWS does not know our access key.",
        "Put a valid one into {keys}, {restart}; " + _ENABLE_REGION,
    ),
    ErrorCause.WRONG_SECRET: Meaning(
        CredentialsError,
        "AWS does not accept our signature: the secret key does not belong to the access key.",
        "Copy the pair again, as AWS showed it, into {keys}, {restart}.",
    ),
    ErrorCause.EXPIRED: Meaning(
        CredentialsError,
        "Our temporary AWS credentials have expired.",
        "Get new ones (for example: aws sso login), or use those of the sync user.",
    ),
    ErrorCause.NO_CREDENTIALS: Meaning(
        CredentialsError,
        "There are no AWS credentials, or only incomplete ones, to {what}.",
        GIVE_CREDENTIALS,
    ),
    ErrorCause.UNUSABLE_CREDENTIALS: Meaning(
        CredentialsError, "The AWS credentials cannot be obtained: {said}.", GIVE_CREDENTIALS
    ),
    ErrorCause.THROTTLED: Meaning(
        TryLaterError,
        "AWS could not {what}: it throttles us ({code}).",
        "Nothing to do: it is tried again.",
    ),
    ErrorCause.BUSY: Meaning(
        TryLaterError,
        "AWS could not {what}: it is busy ({code}).",
        "Nothing to do: it is tried again.",
    ),
    ErrorCause.LIMIT: Meaning(
        MisconfiguredError,
        "AWS could not {what}: a limit of the account is reached.",
        "Raise it in the console under Service Quotas",
    ),
    ErrorCause.NO_TOPIC: Meaning(
        MisconfiguredError,
        "AWS has no such topic or subscription.",
        "Check webhook.topic_arn and aws.region",
    ),
    ErrorCause.NO_QUEUE: Meaning(
        MisconfiguredError,
        "AWS has no such queue.",
        "Check the URLs in [queue] and aws.region",
    ),
    ErrorCause.NO_TABLE: Meaning(
        MisconfiguredError,
        "There is no table {name} in this account and region.",
        "Check index.table and aws.region, or create it with: postamt-sync bootstrap apply",
    ),
    ErrorCause.NO_BUCKET: Meaning(
        MisconfiguredError,
        "There is no bucket {name}.",
        "Correct bucket.name in the configuration, or make it: postamt-sync bootstrap apply",
    ),
    ErrorCause.WRONG_REGION: Meaning(
        MisconfiguredError,
        "AWS could not {what}: it is not in aws.region.",
        "Correct aws.region, and the region in AWS_ENDPOINT_URL if it is set.",
    ),
    ErrorCause.UNSUPPORTED: Meaning(
        MisconfiguredError,
        "What answers in place of AWS cannot {what} ({code}).",
        "Check AWS_ENDPOINT_URL: not every emulator or server knows all that AWS does.",
    ),
    ErrorCause.PARAMETER: Meaning(
        MisconfiguredError,
        "AWS does not accept a setting to {what}.",
        "Check webhook.public_url",
    ),
    ErrorCause.CONFIRMATION_TOKEN: Meaning(
        TokenError, "The confirmation token is no longer valid.", ""
    ),
    ErrorCause.KMS: Meaning(
        MisconfiguredError,
        "AWS could not {what}: the KMS key cannot be used ({code}).",
        "Enable the key, and allow kms:Decrypt for our user.",
    ),
    ErrorCause.UNREACHABLE: Meaning(
        TryLaterError, "AWS could not be reached to {what}.", "Check the network: {said}"
    ),
    ErrorCause.UNTRUSTED: Meaning(
        TryLaterError,
        "We could not {what}: what answers in place of AWS has no certificate that we trust.",
        _CERTIFICATE,
    ),
    ErrorCause.NOT_AWS: Meaning(
        TryLaterError,
        "Something that is not AWS answered our attempt to {what} ({code}).",
        _PROXY + "it is tried again.",
    ),
    ErrorCause.UNEXPECTED: Meaning(
        TryLaterError,
        "Our attempt to {what} ended in an unexpected error ({code}: {said}).",
        "Check whether a proxy or login page answers in place of AWS, and credential_process in "
        "{config}, if it is used; it is tried again.",
    ),
    ErrorCause.UNKNOWN: Meaning(
        TryLaterError, "AWS could not {what}.", "It is tried again; AWS says: {code}: {said}"
    ),
}  # fmt: skip

_FOR_AN_ADMINISTRATOR = _FOR_BOTH | {
    ErrorCause.FORBIDDEN: Meaning(
        ForbiddenError,
        "The AWS credentials may not {what}.",
        "Use those of an administrator, or allow this action.",
    ),
    ErrorCause.UNKNOWN_KEY: Meaning(
        CredentialsError,
        "AWS does not know these credentials.",
        "Check AWS_PROFILE and the keys it leads to; " + _ENABLE_REGION,
    ),
    ErrorCause.WRONG_SECRET: Meaning(
        CredentialsError,
        "AWS does not accept our signature: the secret key does not belong to the access key.",
        "Check AWS_PROFILE and the keys it leads to.",
    ),
    ErrorCause.EXPIRED: Meaning(
        CredentialsError, "The AWS credentials have expired.", "Renew them, and try again."
    ),
    ErrorCause.NO_CREDENTIALS: Meaning(
        CredentialsError,
        "There are no AWS credentials, or only incomplete ones.",
        "Give those of an administrator to the AWS SDK: aws configure, aws sso login, "
        "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    ),
    ErrorCause.UNUSABLE_CREDENTIALS: Meaning(
        CredentialsError,
        "The AWS credentials cannot be obtained: {said}.",
        "Correct AWS_PROFILE, or log in again.",
    ),
    ErrorCause.THROTTLED: Meaning(TryLaterError, "AWS throttles us at {what}.", _NO_HASTE),
    ErrorCause.BUSY: Meaning(TryLaterError, "AWS is busy at {what} ({code}).", _NO_HASTE),
    ErrorCause.LIMIT: Meaning(
        MisconfiguredError,
        "A limit of the AWS account is reached at {what}: {said}.",
        "Remove what is no longer needed, or raise it in the console under Service Quotas.",
    ),
    ErrorCause.NAME_TAKEN: Meaning(
        MisconfiguredError,
        "The bucket's name is taken by another account.",
        "Choose one that ends in -ACCOUNT-REGION-an: those names belong to this account alone. "
        f"In {' and '.join(sorted(WITHOUT_OWN_NAMESPACE))}, which have no such names, choose one "
        "with a random part.",
    ),
    ErrorCause.WRONG_REGION: Meaning(
        MisconfiguredError,
        "What {what} asks for is not in aws.region.",
        "Correct aws.region, and the region in AWS_ENDPOINT_URL if it is set.",
    ),
    ErrorCause.UNSUPPORTED: Meaning(
        MisconfiguredError,
        "The endpoint that is asked does not know {what} ({code}).",
        "Check AWS_ENDPOINT_URL: not every emulator knows all that AWS does.",
    ),
    ErrorCause.CONFLICT: Meaning(
        TryLaterError,
        "Someone else works on the same thing ({what}): {said}.",
        "See what is there now: postamt-sync bootstrap plan",
    ),
    ErrorCause.UNREACHABLE: Meaning(
        TryLaterError, "AWS could not be reached: {said}.", "Check the network and aws.region."
    ),
    ErrorCause.UNTRUSTED: Meaning(
        TryLaterError,
        "What answers in place of AWS has no certificate that we trust.",
        _CERTIFICATE,
    ),
    ErrorCause.NOT_AWS: Meaning(
        TryLaterError,
        "Something that is not AWS answered at {what} ({code}).",
        _PROXY + "then run it again.",
    ),
    ErrorCause.UNEXPECTED: Meaning(
        TryLaterError,
        "There was an unexpected error at {what} ({code}: {said}).",
        "Check whether a proxy or login page answers in place of AWS, and credential_process in "
        "{config}, if it is used.",
    ),
    ErrorCause.UNKNOWN: Meaning(
        TryLaterError,
        "AWS refused {what}: {code}: {said}.",
        "What was done stays done; run it again when the cause is fixed.",
    ),
}  # fmt: skip

NOT_SAID_BY_AWS = frozenset(
    {
        ErrorCause.NO_CREDENTIALS,
        ErrorCause.NOT_AWS,
        ErrorCause.SETTINGS,
        ErrorCause.UNEXPECTED,
        ErrorCause.UNREACHABLE,
        ErrorCause.UNTRUSTED,
        ErrorCause.UNUSABLE_CREDENTIALS,
    }
)
"""Causes reported by a library, a stranger or this machine, not by AWS."""

MEANINGS = {Asker.DAEMON: _FOR_THE_DAEMON, Asker.ADMINISTRATOR: _FOR_AN_ADMINISTRATOR}
