"""What AWS's refusals around topic and queues mean, in sentences a person can act on."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from postamt_sync.errors import (
    CredentialsError,
    MisconfiguredError,
    PostamtError,
    TryLaterError,
)
from postamt_sync.events import printable


class TokenError(PostamtError):
    """AWS does not take this confirmation token, and never will."""

    temporary = False


_MEANING = {
    "AuthorizationError": ("The credentials may not {what}.", "Allow it in the sync user's policy"),
    "InvalidClientTokenId": ("AWS does not know the access key.", "Check the AWS credentials"),
    "SignatureDoesNotMatch": ("AWS refuses the secret key.", "Check the AWS credentials"),
    "ExpiredToken": ("The AWS credentials have expired.", "Renew them"),
    "RequestExpired": ("AWS finds our clock wrong.", "Set the clock (timedatectl)"),
    "NotFound": ("AWS has no such topic or subscription.", "Check webhook.topic_arn and region"),
    "QueueDoesNotExist": ("AWS has no such queue.", "Check the URLs in [queue] and the region"),
    "InvalidParameter": ("AWS does not accept a setting to {what}.", "Check webhook.public_url"),
}
_OF_CREDENTIALS = frozenset(
    {"AuthorizationError", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken"}
)
_SAME = {
    "AccessDenied": "AuthorizationError",
    "AccessDeniedException": "AuthorizationError",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "ExpiredTokenException": "ExpiredToken",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "NotFoundException": "NotFound",
    "AWS.SimpleQueueService.NonExistentQueue": "QueueDoesNotExist",
    "InvalidParameterException": "InvalidParameter",
    "InvalidParameterValue": "InvalidParameter",
}


def refusal(what: str, error: ClientError | BotoCoreError | ResponseParserError) -> PostamtError:
    """Return the sentences for `error`, met in the attempt to `what` ("subscribe the webhook").

    All are temporary, since policies, clocks and keys get mended while the daemon runs, but for
    TokenError.
    """
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return CredentialsError(
            f"There are no AWS credentials, or only half of them, to {what}.",
            "Give them to boto3, for instance with AWS_SHARED_CREDENTIALS_FILE.",
        )
    if isinstance(error, ResponseParserError):
        return TryLaterError(
            f"Something that is not AWS answered our attempt to {what}.",
            "Look whether a proxy or login page stands between us and AWS; it is tried again.",
        )
    if isinstance(error, BotoCoreError):
        return TryLaterError(
            f"AWS could not be reached to {what}.", f"Check the network: {printable(str(error))}"
        )
    answer = error.response.get("Error", {})
    code, said = str(answer.get("Code", "")), printable(str(answer.get("Message", "")))
    code = _SAME.get(code, code)
    if code == "InvalidParameter" and "token" in said.lower():
        return TokenError("The confirmation token is no longer valid.")
    if code in _MEANING:
        problem, hint = _MEANING[code]
        kind = CredentialsError if code in _OF_CREDENTIALS else MisconfiguredError
        return kind(problem.format(what=what), f"{hint}; AWS says: {said}")
    return TryLaterError(
        f"AWS could not {what}.", f"It is tried again; AWS says: {printable(code)}: {said}"
    )
