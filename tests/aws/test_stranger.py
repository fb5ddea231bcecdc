"""Someone else answers in AWS's place: a login page, a proxy, a box that speaks anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest

from postamt_sync.aws.clients import (
    BUILDING,
    cloudwatch_client,
    dynamodb_client,
    new_client,
    new_session,
    s3_client,
    sns_client,
    sqs_client,
)
from postamt_sync.aws.errors import aws_call
from postamt_sync.errors import CredentialsError, MisconfiguredError, PostamtError, TryLaterError
from tests.support.aws_session import aws_session
from tests.support.http_server import served

pytestmark = pytest.mark.slow

REGION = "eu-west-1"
BODIES = {
    "page": b"<!DOCTYPE html><html><body>Welcome to Hotel Wifi</body></html>",
    "xml": b'<?xml version="1.0"?><Welcome><To>Hotel Wifi</To></Welcome>',
    "list": b'["Hotel Wifi"]',
    "word": b'"Hotel Wifi"',
    "number": b"7",
    "text": b"Hotel Wifi",
    "bytes": b"\xff\xfe\x00\x01",
    "nothing": b"",
}


class Stranger:
    """Answers everything alike."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(stranger.status)
                self.send_header("Content-Length", str(len(stranger.body)))
                self.end_headers()
                self.wfile.write(stranger.body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    made = Stranger()
    with served(made.server):
        yield made


@pytest.fixture
def session(stranger: Stranger, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    monkeypatch.setenv("AWS_ENDPOINT_URL", stranger.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return new_session(REGION)


TABLE = {"t": {"Keys": [{"message_id": {"S": "a"}}]}}
CALLS: dict[str, Callable[[boto3.Session], Any]] = {
    "sns": lambda s: sns_client(s, REGION).subscribe(
        TopicArn="arn:aws:sns:eu-west-1:123456789012:t", Protocol="https", Endpoint="https://x"
    )["SubscriptionArn"],
    "sqs": lambda s: sqs_client(s, REGION).receive_message(QueueUrl="http://127.0.0.1/1/q"),
    "dynamodb": lambda s: dynamodb_client(s, REGION).batch_get_item(RequestItems=TABLE)[
        "Responses"
    ],
    "cloudwatch": lambda s: cloudwatch_client(s, REGION).list_metrics(),
    "s3": lambda s: s3_client(s, REGION).restore_object(
        Bucket="mail", Key="a", RestoreRequest={"Days": 1}
    ),
}


def met(call: Callable[[], Any]) -> PostamtError | None:
    try:
        with aws_call("ask"):
            call()
    except PostamtError as error:
        return error
    return None


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [200, 403, 511])
@pytest.mark.parametrize("service", CALLS)
def test_a_stranger_is_temporary_trouble_and_is_not_quoted(
    stranger: Stranger, session: boto3.Session, service: str, status: int, body: str
) -> None:
    stranger.status, stranger.body = status, BODIES[body]
    error = met(lambda: CALLS[service](session))
    if error is None:  # an answer without anything in it is one
        assert status == 200
        return
    assert type(error) is TryLaterError
    assert error.temporary
    assert "<" not in str(error)
    assert str(error).isprintable()


ERRORS = {
    "xml": b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>No. &lt;html&gt;Hotel Wifi"
    b"</Message></Error></ErrorResponse>",
    "s3": b"<Error><Code>AccessDenied</Code><Message>No. &lt;b&gt;Hotel Wifi</Message></Error>",
    "json": b'{"__type": "x#AccessDeniedException", "message": "No. <p>Hotel Wifi</p>"}',
    "code": b'{"__type": "<html>Hotel Wifi</html>", "message": "No."}',
}


@pytest.mark.parametrize("body", ERRORS)
@pytest.mark.parametrize("status", [400, 404, 500, 501])
@pytest.mark.parametrize("service", CALLS)
def test_no_error_brings_a_page_into_a_sentence(
    stranger: Stranger, session: boto3.Session, service: str, status: int, body: str
) -> None:
    stranger.status, stranger.body = status, ERRORS[body]
    error = met(lambda: CALLS[service](session))
    assert error is not None
    assert "Hotel" not in str(error)
    assert not set("<>") & set(str(error))


@pytest.mark.parametrize("body", ["nothing", "page"])
@pytest.mark.parametrize("service", CALLS)
def test_what_a_server_cannot_do_is_no_matter_of_time(
    stranger: Stranger, session: boto3.Session, service: str, body: str
) -> None:
    stranger.status, stranger.body = 501, BODIES["nothing"] if body == "nothing" else b"<a>b</a>"
    error = met(lambda: CALLS[service](session))
    assert type(error) is MisconfiguredError
    assert "AWS_ENDPOINT_URL" in error.hint


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize("service", CALLS)
def test_a_path_that_a_configured_server_lacks_is_no_matter_of_time(
    stranger: Stranger, session: boto3.Session, service: str, status: int
) -> None:
    stranger.status, stranger.body = status, b"<html>No</html>"
    error = met(lambda: CALLS[service](session))
    assert type(error) is MisconfiguredError, error
    assert f"from {stranger.url}" in error.problem
    assert "AWS_ENDPOINT_URL" in error.hint


@pytest.mark.parametrize("service", CALLS)
def test_a_login_page_is_called_one(
    stranger: Stranger, session: boto3.Session, service: str
) -> None:
    stranger.status, stranger.body = 403, BODIES["page"]
    with pytest.raises(TryLaterError) as told, aws_call("ask"):
        CALLS[service](session)
    assert "that is not AWS answered our attempt to ask" in told.value.problem
    assert "login page" in told.value.hint


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ("[default]\ncredential_process = /nowhere/helper\n", CredentialsError),
        ("[default]\ncredential_process = echo no json\n", MisconfiguredError),
        ("[default]\ncredential_process = echo '[]'\n", MisconfiguredError),
        ("[default]\ncredential_process = false\n", CredentialsError),
        ("[default]\nsource_profile = other\nrole_arn = x\n", CredentialsError),
    ],
)
def test_credentials_that_cannot_be_had_are_temporary_trouble(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, config: str, kind: type[PostamtError]
) -> None:
    (tmp_path / "config").write_text(config)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(kind) as told, aws_call("ask"):
        CALLS["sqs"](new_session(REGION))
    assert told.value.temporary


@pytest.mark.parametrize(
    "endpoint", ["nonsense", "http://", "http://[", "ftp://x", "http://host:port"]
)
def test_settings_that_cannot_be_used_are_for_a_person(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    session = aws_session("AKIATEST", "secret")
    with pytest.raises((MisconfiguredError, TryLaterError)) as told, aws_call("ask"):
        CALLS["dynamodb"](session)
    assert told.value.hint


def test_a_service_that_boto3_does_not_know_is_for_a_person() -> None:
    with pytest.raises(MisconfiguredError, match="AWS settings cannot be used"):
        new_client(boto3.Session(region_name=REGION), "nowhere", REGION, BUILDING)
