"""Every error comes down to one cause, and every cause has its sentences for everybody."""

from __future__ import annotations

import socket
import ssl

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    CredentialRetrievalError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError

from postamt_sync.aws.error_codes import ErrorCause, cause_of, cause_of_code
from postamt_sync.aws.errors import Asker, TokenError, meaning, refusal
from postamt_sync.errors import CredentialsError
from tests.doubles.topic import client_error


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (SSLError(endpoint_url="https://x", error="self-signed"), ErrorCause.UNTRUSTED),
        (ssl.SSLCertVerificationError("expired"), ErrorCause.UNTRUSTED),
        (socket.gaierror(-2, "Name or service not known"), ErrorCause.UNREACHABLE),
        (ConnectionResetError(), ErrorCause.UNREACHABLE),
        (TimeoutError(), ErrorCause.UNREACHABLE),
        (ReadTimeoutError(endpoint_url="https://x"), ErrorCause.UNREACHABLE),
        (ProxyConnectionError(proxy_url="http://x"), ErrorCause.UNREACHABLE),
        (ConnectionClosedError(endpoint_url="https://x"), ErrorCause.UNREACHABLE),
        (ProfileNotFound(profile="x"), ErrorCause.UNUSABLE_CREDENTIALS),
        (UnauthorizedSSOTokenError(), ErrorCause.UNUSABLE_CREDENTIALS),
        (CredentialRetrievalError(provider="x", error_msg="x"), ErrorCause.UNUSABLE_CREDENTIALS),
        (PermissionError(13, "Permission denied"), ErrorCause.UNUSABLE_CREDENTIALS),
        (NoRegionError(), ErrorCause.SETTINGS),
        (ParamValidationError(report="x"), ErrorCause.SETTINGS),
        (ResponseParserError("<html>"), ErrorCause.NOT_AWS),
        (KeyError("SubscribeResult"), ErrorCause.UNEXPECTED),
        (client_error("", ""), ErrorCause.NOT_AWS),
        (client_error("403", "Forbidden"), ErrorCause.NOT_AWS),
        (client_error("AccessDenied", "\n <html>denied by Hotel Wifi"), ErrorCause.NOT_AWS),
        (client_error("KMS.DisabledException"), ErrorCause.KMS),
        (client_error("InvalidParameter", "Invalid token"), ErrorCause.PARAMETER),
    ],
)
def test_each_error_comes_down_to_one_cause(error: Exception, cause: ErrorCause) -> None:
    assert cause_of(error) is cause


@pytest.mark.parametrize(
    ("code", "status", "cause"),
    [
        ("", 503, ErrorCause.BUSY),
        ("503", 503, ErrorCause.BUSY),
        ("Odd", 500, ErrorCause.BUSY),
        ("Odd", 429, ErrorCause.THROTTLED),
        ("Odd", 400, ErrorCause.UNKNOWN),
        ("", 404, ErrorCause.NOT_AWS),
        ("404", 404, ErrorCause.NOT_AWS),
        ("NoSuchBucket", 503, ErrorCause.NO_BUCKET),
    ],
)
def test_where_the_code_says_nothing_the_status_does(
    code: str, status: int, cause: ErrorCause
) -> None:
    assert cause_of_code(code, status) is cause


@pytest.mark.parametrize("asker", Asker)
@pytest.mark.parametrize("cause", ErrorCause)
def test_every_cause_has_two_sentences_for_everybody(cause: ErrorCause, asker: Asker) -> None:
    told = meaning(cause, "ask", code="Co{de}", said="{said} so", name="{name}", asker=asker)
    assert told.problem.endswith(".")
    assert str(told).isprintable()
    assert "{what}" not in str(told)
    assert bool(told.hint) or isinstance(told, TokenError)
    assert told.temporary is not isinstance(told, TokenError)


def test_to_a_head_s3_says_nothing_but_403() -> None:
    told = refusal("s3:ListBucket", client_error("403", "Forbidden"), asker=Asker.ADMINISTRATOR)
    assert isinstance(told, CredentialsError)
    assert told.problem == "The AWS credentials may not s3:ListBucket."
