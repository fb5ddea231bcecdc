"""Endpoints of the environment and of profiles that nothing can be sent to: a person's matter."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.aws.clients import (
    lazy_session,
    new_session,
    refuse_bad_settings,
    s3_client,
    sns_client,
    sqs_client,
    unsigned_client,
)
from postamt_sync.aws.configured_endpoint import is_endpoint
from postamt_sync.aws.errors import aws_call
from postamt_sync.errors import ExitCode, MisconfiguredError

BAD = [
    "localhost:4566",
    "127.0.0.1",
    "not a url",
    "http://local host:4566",
    "http://127.0.0.1:port",
    "http://127.0.0.1:65536",
    "http://127.0.0.1:0",
    "http://127.0.0.1:-1",
    "ftp://127.0.0.1",
    "s3://bucket",
    "//127.0.0.1",
    "http://",
    "http://[::1",
    "http://[gg::1]:80",
    "http://[1::2::3]",
    "http://müller.example",
    "http://h\x00st",
]


@pytest.mark.parametrize("url", BAD)
def test_what_is_none(url: str) -> None:
    assert not is_endpoint(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4566",
        "https://localhost",
        "HTTP://LOCALHOST:80/",
        "http://[::1]:4566/path",
        "http://my_minio:9000",
        "https://vpce-1-a.s3.eu-west-1.vpce.amazonaws.com",
    ],
)
def test_what_is_one(url: str) -> None:
    assert is_endpoint(url)


@pytest.fixture
def aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An AWS configuration of our own; returns its file."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    return tmp_path / "config"


@pytest.mark.parametrize("url", [url for url in BAD if "\x00" not in url])
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS"])
def test_no_client_is_made_for_it(
    url: str, variable: str, aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, url)
    session = new_session("eu-west-1")
    with pytest.raises(MisconfiguredError, match="not a valid URL") as told:
        sqs_client(session, "eu-west-1")
    assert told.value.exit_code == ExitCode.CONFIGURATION
    assert variable in told.value.hint
    with pytest.raises(MisconfiguredError, match=variable):
        refuse_bad_settings(session)


def test_one_service_does_not_suffer_from_anothers(
    aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "localhost:1")
    session = new_session("eu-west-1")
    assert s3_client(session, "eu-west-1")
    with pytest.raises(MisconfiguredError, match="AWS_ENDPOINT_URL_SNS"):
        sns_client(session, "eu-west-1")


@pytest.mark.parametrize(
    ("profile", "where"),
    [
        ("[default]\nendpoint_url = http://127.0.0.1:99999\n", "endpoint_url in ~/.aws/config"),
        (
            "[default]\nservices = mine\n[services mine]\ns3 =\n  endpoint_url = ftp://x\n",
            "endpoint_url of s3 in ~/.aws/config",
        ),
    ],
)
def test_a_profiles(profile: str, where: str, aws: Path) -> None:
    aws.write_text(profile)
    with pytest.raises(MisconfiguredError, match=where):
        unsigned_client(new_session("eu-west-1"), "s3", "eu-west-1")
    with pytest.raises(MisconfiguredError, match=where):
        refuse_bad_settings(new_session("eu-west-1"))


def test_a_client_that_is_made_at_its_first_call_says_the_same(
    aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:99999")
    client = sqs_client(lazy_session(lambda: new_session("eu-west-1")), "eu-west-1")
    with pytest.raises(MisconfiguredError, match="not a valid URL"), aws_call("receive"):
        client.receive_message(QueueUrl="http://127.0.0.1/q")


@pytest.mark.slow
def test_what_is_to_be_ignored_is(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:1")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    session = new_session("eu-west-1")
    refuse_bad_settings(session)
    assert "amazonaws.com" in sqs_client(session, "eu-west-1").meta.endpoint_url
