"""AWS's refusals in sentences."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
)

from postamt_sync.aws.errors import ForbiddenError, refusal
from postamt_sync.errors import CredentialsError, MisconfiguredError, TryLaterError
from tests.doubles.topic import client_error


@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (client_error("AuthorizationError"), ForbiddenError, "may not greet"),
        (client_error("AccessDenied"), ForbiddenError, "may not greet"),
        (client_error("InvalidClientTokenId"), CredentialsError, "access key"),
        (client_error("InvalidClientTokenId", "The security token is invalid"),
         CredentialsError, "access key"),
        (client_error("SignatureDoesNotMatch"), CredentialsError, "secret key"),
        (client_error("ExpiredToken", "The token expired"), CredentialsError, "expired"),
        (client_error("RequestExpired"), TryLaterError, "clock"),
        (client_error("NotFound"), MisconfiguredError, "no such topic"),
        (client_error("InvalidParameter", "Endpoint"), MisconfiguredError, "accept a setting"),
        (client_error("InvalidParameter", "the token"), MisconfiguredError, "accept a setting"),
        (client_error("Throttling"), TryLaterError, "could not greet"),
        (client_error("InternalError"), TryLaterError, "could not greet"),
        (NoCredentialsError(), CredentialsError, "no AWS credentials"),
        (PartialCredentialsError(provider="env", cred_var="x"), CredentialsError, "credentials"),
        (EndpointConnectionError(endpoint_url="https://x"), TryLaterError, "reached"),
        (ConnectTimeoutError(endpoint_url="https://x"), TryLaterError, "reached"),
    ],
)  # fmt: skip
def test_each_refusal_says_what_is_wrong(error, kind, word):
    said = refusal("greet", error)
    assert type(said) is kind
    assert word in said.problem
    assert said.temporary


def test_what_aws_says_stays_on_one_line():
    said = refusal("greet", client_error("AccessDenied", "a\nb\x1b[31m" + "x" * 1000))
    assert "\n" not in str(said)
    assert "\x1b" not in str(said)
    assert len(str(said)) < 600
