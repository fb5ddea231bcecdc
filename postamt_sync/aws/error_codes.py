"""What went wrong at AWS, whichever service says so, in whichever words, or whatever boto3 raises.

Services name the same thing differently ("AccessDenied", "AuthorizationError"). Sources: API
References of S3, SNS, SQS, DynamoDB, SES, IAM, "Common errors"; botocore's exceptions.
"""

from __future__ import annotations

import enum
import re
import ssl
from typing import Any
from urllib.parse import urlsplit

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


class ErrorCause(enum.Enum):
    """What an error comes down to."""

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
    """What is asked for lies in another region than the one that is asked."""
    UNSUPPORTED = enum.auto()
    """The endpoint does not know this call, and never will: an emulator, another S3."""
    PARAMETER = enum.auto()
    CONFIRMATION_TOKEN = enum.auto()
    """SNS has no code of its own for it: whoever confirms knows."""
    KMS = enum.auto()
    NO_CAPACITY = enum.auto()
    """S3 cannot take an Expedited restore just now."""
    NO_CREDENTIALS = enum.auto()
    UNUSABLE_CREDENTIALS = enum.auto()
    SETTINGS = enum.auto()
    """boto3 cannot work with its own configuration."""
    UNREACHABLE = enum.auto()
    UNTRUSTED = enum.auto()
    """The other side has no certificate that we trust."""
    NOT_AWS = enum.auto()
    """A proxy or a login page answered."""
    UNEXPECTED = enum.auto()
    """boto3 raised what is not meant for its callers."""
    UNKNOWN = enum.auto()
    """An error code that means nothing to us."""


_CODES = {
    ErrorCause.FORBIDDEN: (
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AuthorizationErrorException",
        "Forbidden",
        "UnauthorizedOperation",
    ),
    # Regions that the account has not enabled say it too.
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
    # Who signs at another time, or for another region, has signed another text than AWS expects.
    (re.compile(r"signature (?:expired|not yet current)", re.IGNORECASE), ErrorCause.CLOCK),
    (re.compile(r"scoped to a valid region", re.IGNORECASE), ErrorCause.WRONG_REGION),
)
"""What services that know one code for every bad signature say beside it."""

_ENDPOINT = "Endpoint"
_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws")
_UNKNOWN_THERE = frozenset({404, 405, 501})
"""What a server says of a path or method that it does not have."""

_NOT_THERE = re.compile(
    r"^\W*unknown (?:[\w ]{1,30} )?(?:action|api|endpoint|operation|path)\b"
    r"|\bnot (?:yet )?(?:been )?(?:implemented|supported by (?:this|the) emulator)\b"
    r"|\bnot valid for this (?:endpoint|web service)\b",
    re.IGNORECASE,
)
"""What emulators say of a call that they lack, under a code that AWS has for something else."""

_PAGE = re.compile(r"<(?:!doctype|html|head|body)\b", re.IGNORECASE)

_EXCEPTIONS: tuple[tuple[ErrorCause, tuple[type[Exception], ...]], ...] = (
    # The first that fits: SSLError is a ConnectionError, ssl.SSLError an OSError.
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
            # Of files that boto3 reads, and programs that it runs for them; what the network does
            # comes in botocore's own kinds.
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
    """Tell what any exception of boto3 comes down to."""
    if isinstance(error, ClientError):
        return _cause_of_answer(error)
    return next(
        (cause for cause, kinds in _EXCEPTIONS if isinstance(error, kinds)), ErrorCause.UNEXPECTED
    )


def cause_of_code(code: str, status: int = 0) -> ErrorCause:
    """Tell what an error code comes down to, and, where nobody knows it, the HTTP status.

    Without a code it was no service of AWS that answered.
    """
    if status == 501:  # whatever the code: an emulator may call it its own failure
        return ErrorCause.UNSUPPORTED
    if code in _CAUSES:
        return _CAUSES[code]
    if code.startswith(("KMS.", "Kms")):
        return ErrorCause.KMS
    if status == 429:
        return ErrorCause.THROTTLED
    if status >= 500:
        return ErrorCause.BUSY
    # botocore gives the status for a code where the answer holds none.
    return ErrorCause.UNKNOWN if code and not code.isdecimal() else ErrorCause.NOT_AWS


def note_endpoint(endpoint: str, parsed: dict[str, Any], **_: Any) -> None:
    """Note in an answer which URL was asked; botocore calls it after each call."""
    parsed.setdefault("ResponseMetadata", {})[_ENDPOINT] = endpoint


def unknown_at(error: ClientError) -> str:
    """Return the URL of a server that is not AWS's and does not have what was asked for, else "".

    It has only a status for it, as a HEAD always has. In AWS's own place a login page says so too.
    """
    about = error.response.get("ResponseMetadata", {})
    endpoint = "" if error.operation_name.startswith("Head") else str(about.get(_ENDPOINT, ""))
    host = f".{urlsplit(endpoint).hostname or ''}"
    is_bare = code_of(error) in {"", str(about.get("HTTPStatusCode"))}
    is_there = about.get("HTTPStatusCode") not in _UNKNOWN_THERE or host.endswith(_AWS_DOMAINS)
    return endpoint if is_bare and endpoint and not is_there else ""


def code_of(error: ClientError) -> str:
    """Return the error code that AWS gave, "" where it gave none; foreign text."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    """Return what AWS said beside the code; foreign text, and "" where it is a page's markup.

    For services that speak JSON botocore takes whatever else answers for a message.
    """
    message = str(error.response.get("Error", {}).get("Message") or "")
    return "" if is_markup(message) else message


def is_markup(text: str) -> bool:
    """Tell whether a text is a page, or an answer that nobody could read."""
    return text.lstrip("\ufeff \t\r\n").startswith("<") or _PAGE.search(text) is not None


def _cause_of_answer(error: ClientError) -> ErrorCause:
    message = str(error.response.get("Error", {}).get("Message") or "")
    cause = cause_of_code(
        code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    )
    if cause is ErrorCause.UNSUPPORTED or unknown_at(error):
        return ErrorCause.UNSUPPORTED  # its message may be the bare XML of it
    if cause is not ErrorCause.FORBIDDEN and _NOT_THERE.search(message):
        return ErrorCause.UNSUPPORTED
    if is_markup(message):
        return ErrorCause.NOT_AWS
    if cause is ErrorCause.WRONG_SECRET:
        return next((other for saying, other in _SAYINGS if saying.search(message)), cause)
    return cause
