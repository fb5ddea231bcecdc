"""Classifies everything that can go wrong with a call to AWS: error codes, statuses, exceptions.

Services have different codes for the same thing ("AccessDenied", "AuthorizationError"). Sources:
API References of S3, SNS, SQS, DynamoDB, SES, IAM, "Common errors"; botocore's exceptions.
"""

from __future__ import annotations

import enum
import re
import ssl

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    HTTPClientError,
    InfiniteLoopConfigError,
    InvalidConfigError,
    LoginError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    RefreshWithMFAUnsupportedError,
    SSLError,
    SSOError,
    TokenRetrievalError,
    UnknownCredentialError,
)
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

from postamt_sync.aws.error_answer import code_of, is_markup, unknown_at


class ErrorCause(enum.Enum):
    """The underlying cause of an error."""

    FORBIDDEN = enum.auto()
    UNKNOWN_KEY = enum.auto()
    WRONG_SECRET = enum.auto()
    EXPIRED = enum.auto()
    SESSION_TOKEN = enum.auto()
    ACCOUNT = enum.auto()
    CLOCK = enum.auto()
    THROTTLED = enum.auto()
    BUSY = enum.auto()
    LIMIT = enum.auto()
    NAME_TAKEN = enum.auto()
    CONFLICT = enum.auto()
    NO_TOPIC = enum.auto()
    NO_QUEUE = enum.auto()
    NO_TABLE = enum.auto()
    NO_BUCKET = enum.auto()
    WRONG_REGION = enum.auto()
    """The resource is in another region than the one that was called."""
    UNSUPPORTED = enum.auto()
    """The endpoint does not have this operation: an emulator, or another S3."""
    PARAMETER = enum.auto()
    CONFIRMATION_TOKEN = enum.auto()
    """SNS has no separate code for it, so only the code that confirms can set it."""
    KMS = enum.auto()
    NO_CAPACITY = enum.auto()
    """S3 has no capacity for an Expedited restore right now."""
    NO_CREDENTIALS = enum.auto()
    UNUSABLE_CREDENTIALS = enum.auto()
    SETTINGS = enum.auto()
    """boto3 cannot use its own configuration."""
    UNREACHABLE = enum.auto()
    UNTRUSTED = enum.auto()
    """The server has no certificate that we trust."""
    NOT_AWS = enum.auto()
    """A proxy or a login page answered."""
    UNEXPECTED = enum.auto()
    """boto3 raised something that is not part of its interface."""
    UNKNOWN = enum.auto()
    """An error code that we do not know."""


_CODES = {
    ErrorCause.FORBIDDEN: (
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Forbidden",
        "UnauthorizedOperation",
    ),
    # Also returned by regions that the account has not enabled.
    ErrorCause.UNKNOWN_KEY: (
        "AuthFailure",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    ),
    ErrorCause.WRONG_SECRET: ("InvalidSignatureException", "SignatureDoesNotMatch"),
    ErrorCause.EXPIRED: ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"),
    ErrorCause.SESSION_TOKEN: ("InvalidToken",),
    ErrorCause.ACCOUNT: (
        "AccountProblem",
        "AllAccessDisabled",
        "NotSignedUp",
        "OptInRequired",
        "SubscriptionRequiredException",
    ),
    ErrorCause.CLOCK: ("RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"),
    ErrorCause.THROTTLED: (
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    ),
    ErrorCause.BUSY: (
        "InternalError",
        "InternalErrorException",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    ),
    ErrorCause.LIMIT: (
        "LimitExceeded",
        "LimitExceededException",
        "SubscriptionLimitExceeded",
        "TooManyBuckets",
        "TopicLimitExceeded",
    ),
    ErrorCause.NAME_TAKEN: ("BucketAlreadyExists",),
    ErrorCause.CONFLICT: (
        "AlreadyExists",
        "AlreadyExistsException",
        "BucketAlreadyOwnedByYou",
        "EntityAlreadyExists",
        "OperationAborted",
        "QueueAlreadyExists",
        "ResourceConflictException",
        "ResourceInUseException",
    ),
    ErrorCause.NO_TOPIC: ("NotFound", "NotFoundException"),
    ErrorCause.NO_QUEUE: ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
    ErrorCause.NO_TABLE: ("ResourceNotFoundException",),
    ErrorCause.NO_BUCKET: ("InvalidBucketName", "NoSuchBucket"),
    ErrorCause.WRONG_REGION: (
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "IncorrectEndpoint",
        "InvalidLocationConstraint",
        "PermanentRedirect",
    ),
    ErrorCause.UNSUPPORTED: (
        "AWS.SimpleQueueService.UnsupportedOperation",
        "InvalidAction",
        "MethodNotAllowed",
        "NotImplemented",
        "NotImplementedException",
        "OperationNotSupportedException",
        "UnknownAction",
        "UnknownOperation",
        "UnknownOperationException",
        "UnsupportedOperation",
        "UnsupportedOperationException",
    ),
    ErrorCause.PARAMETER: (
        "InvalidParameter",
        "InvalidParameterException",
        "InvalidParameterValue",
    ),
    ErrorCause.NO_CAPACITY: ("GlacierExpeditedRetrievalNotAvailable",),
}
_CAUSES = {code: cause for cause, codes in _CODES.items() for code in codes}

_SAYINGS = (
    # A signature made at the wrong time, or for another region, does not match either.
    (re.compile(r"signature (?:expired|not yet current)", re.IGNORECASE), ErrorCause.CLOCK),
    (re.compile(r"scoped to a valid region", re.IGNORECASE), ErrorCause.WRONG_REGION),
)
"""The messages of services that have a single code for every bad signature."""

_NOT_THERE = re.compile(
    r"^\W*unknown (?:[\w ]{1,30} )?(?:action|api|endpoint|operation|path)\b"
    r"|\bnot (?:yet )?(?:been )?(?:implemented|supported by (?:this|the) emulator)\b"
    r"|\bnot valid for this (?:endpoint|web service)\b",
    re.IGNORECASE,
)
"""Messages of emulators for an operation that they lack, with a code that means something else at
AWS."""

_EXCEPTIONS: tuple[tuple[ErrorCause, tuple[type[Exception], ...]], ...] = (
    # The first match counts: SSLError is a ConnectionError, ssl.SSLError is an OSError.
    (ErrorCause.NO_CREDENTIALS, (NoCredentialsError, PartialCredentialsError)),
    (
        ErrorCause.UNUSABLE_CREDENTIALS,
        (
            ConfigNotFound,
            ConfigParseError,
            CredentialRetrievalError,
            InfiniteLoopConfigError,
            InvalidConfigError,
            LoginError,
            ProfileNotFound,
            RefreshWithMFAUnsupportedError,
            SSOError,
            TokenRetrievalError,
            UnknownCredentialError,
            # From files that boto3 reads and programs that it runs for credentials; for network
            # errors botocore has exceptions of its own.
            FileNotFoundError,
            IsADirectoryError,
            NotADirectoryError,
            PermissionError,
        ),
    ),
    (ErrorCause.UNTRUSTED, (SSLError, ssl.SSLError)),
    (ErrorCause.UNREACHABLE, (NoConnectionError, HTTPClientError, MetadataRetrievalError, OSError)),
    (ErrorCause.NOT_AWS, (ResponseParserError,)),
    (ErrorCause.SETTINGS, (BotoCoreError,)),
)


def cause_of(error: Exception) -> ErrorCause:
    """Return the cause of any exception that boto3 raised."""
    if isinstance(error, ClientError):
        return _cause_of_answer(error)
    return next(
        (cause for cause, kinds in _EXCEPTIONS if isinstance(error, kinds)), ErrorCause.UNEXPECTED
    )


def cause_of_code(code: str, status: int = 0) -> ErrorCause:
    """Return the cause for an error code; for an unknown code, judge by the HTTP status.

    Without a code, the answer did not come from AWS.
    """
    if status == 501:  # whatever the code: an emulator may report it as an internal error
        return ErrorCause.UNSUPPORTED
    if code in _CAUSES:
        return _CAUSES[code]
    if code.startswith(("KMS.", "Kms")):
        return ErrorCause.KMS
    if status == 429:
        return ErrorCause.THROTTLED
    if status >= 500:
        return ErrorCause.BUSY
    # botocore uses the status as the code if the answer has none.
    return ErrorCause.UNKNOWN if code and not code.isdecimal() else ErrorCause.NOT_AWS


def _cause_of_answer(error: ClientError) -> ErrorCause:
    message = str(error.response.get("Error", {}).get("Message") or "")
    cause = cause_of_code(
        code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    )
    if cause is ErrorCause.UNSUPPORTED or unknown_at(error):
        return ErrorCause.UNSUPPORTED  # even if its message is raw XML
    if cause is not ErrorCause.FORBIDDEN and _NOT_THERE.search(message):
        return ErrorCause.UNSUPPORTED
    if is_markup(message):
        return ErrorCause.NOT_AWS
    if cause is ErrorCause.WRONG_SECRET:
        return next((other for saying, other in _SAYINGS if saying.search(message)), cause)
    return cause
