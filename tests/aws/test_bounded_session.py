"""Whoever answers in AWS's place, or gives credentials, takes no memory and no time at will."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from postamt_sync.aws import bounded_session
from postamt_sync.aws.bounded_session import LARGEST_ANSWER
from postamt_sync.aws.clients import (
    cloudwatch_client,
    dynamodb_client,
    new_session,
    s3_client,
    sns_client,
    sqs_client,
    unsigned_client,
)
from postamt_sync.aws.errors import aws_call
from postamt_sync.errors import CredentialsError, PostamtError, TryLaterError
from tests.support.http_server import served

REGION = "eu-west-1"
TABLE = {"t": {"Keys": [{"message_id": {"S": "a"}}]}}
CALLS: dict[str, Callable[[boto3.Session], Any]] = {
    "sns": lambda s: sns_client(s, REGION).confirm_subscription(TopicArn="a:b", Token="t"),
    "sqs": lambda s: sqs_client(s, REGION).receive_message(QueueUrl="http://127.0.0.1/1/q"),
    "dynamodb": lambda s: dynamodb_client(s, REGION).batch_get_item(RequestItems=TABLE),
    "cloudwatch": lambda s: cloudwatch_client(s, REGION).list_metrics(),
    "s3": lambda s: s3_client(s, REGION).restore_object(
        Bucket="mail", Key="a", RestoreRequest={"Days": 1}
    ),
    "sts": lambda s: s.client("sts", region_name=REGION).get_caller_identity(),
}


class Flood:
    """Answers everything without an end, as fast as it is read."""

    def __init__(self) -> None:
        self.status = 200
        self.chunked = False
        self.sent = 0
        flood = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                self.send_response(flood.status)
                if flood.chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                block = b" " * 65536
                frame = b"10000\r\n" + block + b"\r\n" if flood.chunked else block
                with suppress(OSError):
                    while flood.sent < 40 * LARGEST_ANSWER:  # so that a test that fails ends
                        self.wfile.write(frame)
                        flood.sent += len(block)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.do_GET()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def flood() -> Iterator[Flood]:
    made = Flood()
    with served(made.server):
        yield made


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without credentials; what its `~/.aws/config` shall say goes into this file."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    config.touch()
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return config


def program(directory: Path, script: str) -> Path:
    path = directory / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def met(call: Callable[[], Any]) -> PostamtError:
    with pytest.raises(PostamtError) as told, aws_call("ask"):
        call()
    return told.value


@pytest.mark.slow
@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("service", CALLS)
def test_an_answer_without_an_end_takes_little_memory(
    flood: Flood, monkeypatch: pytest.MonkeyPatch, service: str, chunked: bool, status: int
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", flood.url)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    flood.chunked, flood.status = chunked, status
    error = met(lambda: CALLS[service](new_session(REGION)))
    assert type(error) is TryLaterError
    assert "that is not AWS answered" in error.problem
    assert flood.sent < 3 * LARGEST_ANSWER


def test_an_answer_that_drips_ends_too() -> None:
    class Raw:
        """A body of which something always comes."""

        def read1(self, _size: int) -> bytes:
            return b" "

    times = iter([0.0, 10.0, 29.0, 31.0])
    with pytest.raises(bounded_session.ResponseParserError, match="did not end within 30 s"):
        bounded_session.read(Raw(), clock=lambda: next(times))


@pytest.mark.parametrize("source", ["container", "role"])
def test_a_source_of_credentials_without_an_end(
    flood: Flood, nowhere: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", flood.url)
    if source == "container":
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{flood.url}/credentials")
    else:
        nowhere.write_text(
            "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = own\n"
            "[profile own]\naws_access_key_id = AKIATEST\naws_secret_access_key = secret\n"
        )
    error = met(lambda: CALLS["sqs"](new_session(REGION)))
    assert error.temporary
    assert flood.sent < 10 * LARGEST_ANSWER


OF_ITS_OWN = "[default]\ncredential_process = {program}\n"
OF_A_ROLE = (
    "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = own\n"
    "[profile own]\ncredential_process = {program}\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("config", [OF_ITS_OWN, OF_A_ROLE])
@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("sleep 600", "took more than 1 s"),
        ("trap '' TERM; sleep 600 & sleep 600", "took more than 1 s"),
        ("sleep 600 & echo '{}'", "took more than 1 s"),
        ("exec >&- 2>&-; sleep 600", "took more than 1 s"),
        ("yes", "does not stop printing"),
        ("yes >&2", "does not stop printing"),
    ],
)
def test_a_program_of_credentials_that_does_not_end_is_ended(
    nowhere: Path, tmp_path: Path, script: str, says: str, config: str
) -> None:
    ids = tmp_path / "ids"
    path = program(tmp_path, f"echo $$ > {ids}\n{script}")
    nowhere.write_text(config.format(program=path))
    started = time.monotonic()
    error = met(lambda: CALLS["sqs"](new_session(REGION, program_seconds=1)))
    assert type(error) is CredentialsError
    assert error.temporary
    assert says in error.problem
    assert time.monotonic() - started < 100, "it did not wait for the sleeper"
    with pytest.raises(ProcessLookupError):
        os.kill(int(ids.read_text()), 0)


def test_a_slow_program_holds_up_nobody_who_does_not_need_it(nowhere: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    keys = '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S"}'
    nowhere.write_text(OF_ITS_OWN.format(program=program(tmp_path, f"cat {gate}")))
    session, made = new_session(REGION), threading.Event()

    def make() -> None:
        sqs_client(session, REGION)
        made.set()

    waiting = threading.Thread(target=make)
    waiting.start()
    with gate.open("w") as pipe:  # it is asked: someone reads
        unsigned_client(session, "s3", REGION)
        assert not made.is_set()
        pipe.write(keys)
    waiting.join()
    assert made.is_set()


def test_credentials_are_had_from_all_of_their_sources(nowhere: Path, tmp_path: Path) -> None:
    keys = '{"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T"}'
    nowhere.write_text(OF_ITS_OWN.format(program=program(tmp_path, f"echo '{keys}'; exit 0")))
    found = new_session(REGION).get_credentials()
    assert found is not None
    assert found.get_frozen_credentials()[:3] == ("A", "S", "T")


@pytest.mark.parametrize(("exits", "said"), [(1, "no token today"), (0, "Missing required key")])
def test_what_a_failing_program_says_is_told(
    nowhere: Path, tmp_path: Path, exits: int, said: str
) -> None:
    script = f"echo 'no token today' >&2; echo '{{\"Version\": 1}}'; exit {exits}"
    nowhere.write_text(OF_ITS_OWN.format(program=program(tmp_path, script)))
    error = met(lambda: CALLS["sqs"](new_session(REGION)))
    assert type(error) is CredentialsError
    assert said in error.problem
