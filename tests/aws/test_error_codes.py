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
from postamt_sync.aws.meanings import NOT_SAID_BY_AWS
from postamt_sync.errors import CredentialsError, MisconfiguredError
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
        (
            client_error(
                "SignatureDoesNotMatch", "Signature expired: 2026 is now earlier than 2027"
            ),
            ErrorCause.CLOCK,
        ),
        (
            client_error("InvalidSignatureException", "Signature not yet current: 2027 is later"),
            ErrorCause.CLOCK,
        ),
        (
            client_error(
                "SignatureDoesNotMatch",
                "Credential should be scoped to a valid region, not 'us-east-1'. ",
            ),
            ErrorCause.WRONG_REGION,
        ),
        (client_error("SignatureDoesNotMatch", "Check your key"), ErrorCause.WRONG_SECRET),
        (client_error("InvalidLocationConstraint"), ErrorCause.WRONG_REGION),
        (client_error("AuthFailure"), ErrorCause.UNKNOWN_KEY),
        (
            client_error("UnknownOperationException", "<UnknownOperationException/>"),
            ErrorCause.UNSUPPORTED,
        ),
        (client_error("InvalidAction", "Could not find operation Frob"), ErrorCause.UNSUPPORTED),
        (
            client_error("NotFoundException", "Unknown SES v2 path: PUT /v2/email/x/mail-from"),
            ErrorCause.UNSUPPORTED,
        ),
        (
            client_error("InvalidInput", "Unknown Route53 endpoint: GET /2013-04-01/policies"),
            ErrorCause.UNSUPPORTED,
        ),
        (
            client_error("InternalFailure", "API action Frob has not been implemented"),
            ErrorCause.UNSUPPORTED,
        ),
        (
            client_error("Odd", "The action X is not valid for this endpoint."),
            ErrorCause.UNSUPPORTED,
        ),
        (
            client_error(
                "NotFoundException", "Email identity unknown path.example does not exist."
            ),
            ErrorCause.NO_TOPIC,
        ),
        (client_error("AccessDenied", "Unknown operation"), ErrorCause.FORBIDDEN),
        (client_error("AccessDenied", "\ufeff<!doctype html>"), ErrorCause.NOT_AWS),
        (client_error("AccessDenied", "Sorry <HTML lang='en'>"), ErrorCause.NOT_AWS),
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
        ("", 501, ErrorCause.UNSUPPORTED),
        ("InternalFailure", 501, ErrorCause.UNSUPPORTED),
        ("MethodNotAllowed", 405, ErrorCause.UNSUPPORTED),
        ("", 405, ErrorCause.NOT_AWS),
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


@pytest.mark.parametrize("asker", Asker)
@pytest.mark.parametrize(
    "cause", [c for c in ErrorCause if c not in NOT_SAID_BY_AWS | {ErrorCause.CONFIRMATION_TOKEN}]
)
def test_whatever_aws_says_is_told(cause: ErrorCause, asker: Asker) -> None:
    told = meaning(cause, "ask", code="Odd", said="The reason, in full.", asker=asker)
    assert str(told).count("The reason, in full") == 1
    assert "nothing more" not in str(told)


@pytest.mark.parametrize("asker", Asker)
@pytest.mark.parametrize("cause", ErrorCause)
@pytest.mark.parametrize(
    "page",
    [
        "<html><body>Hotel</body></html>",
        "\ufeff\n <!DOCTYPE html><p>Hotel",
        "Invalid XML received:\nb'<html>Hotel</html>'",
        "Sorry.<br/>Hotel",
        "&lt;html&gt;Hotel",
        "<?xml version='1.0'?><Error>Hotel</Error>",
        "</div>Hotel",
    ],
)
def test_no_page_stands_in_a_sentence(cause: ErrorCause, asker: Asker, page: str) -> None:
    told = str(meaning(cause, "ask", code=page, said=page, asker=asker))
    assert "Hotel" not in told
    assert not set("<>") & set(told)
    assert "b'" not in told


def test_an_arrow_that_is_no_page_is_told() -> None:
    told = meaning(ErrorCause.UNKNOWN, "ask", code="Bad", said="2 < 3, and a -> b")
    assert "2 < 3, and a -> b" in told.hint


@pytest.mark.parametrize("asker", Asker)
def test_a_call_that_is_not_known_is_for_a_person_to_mend(asker: Asker) -> None:
    for code in ("UnknownOperation", "NotImplemented", "UnsupportedOperation"):
        told = refusal("frob", client_error(code, "No frobbing here."), asker=asker)
        assert type(told) is MisconfiguredError
        assert "AWS_ENDPOINT_URL" in told.hint
        assert "No frobbing here" in told.hint


@pytest.mark.parametrize("asker", Asker)
@pytest.mark.parametrize(
    "code",
    ["InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "OptInRequired"],
)
def test_a_region_that_is_not_enabled_may_be_the_reason(code: str, asker: Asker) -> None:
    hint = refusal("ask", client_error(code, "It is invalid"), asker=asker).hint
    assert "enable it in the console" in hint
    for region in ("af-south-1", "ap-southeast-3", "eu-south-1", "il-central-1", "me-south-1"):
        assert region in hint
    assert "eu-west-1" not in hint
    assert "It is invalid" in hint


@pytest.mark.parametrize("asker", Asker)
def test_a_token_of_the_global_endpoint_may_be_the_reason(asker: Asker) -> None:
    hint = refusal("ask", client_error("InvalidToken", "malformed"), asker=asker).hint
    assert "AWS_STS_REGIONAL_ENDPOINTS=regional" in hint
