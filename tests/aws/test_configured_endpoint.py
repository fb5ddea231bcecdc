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
def test_a_url_nothing_can_be_sent_to_is_no_endpoint(url: str) -> None:
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
def test_a_valid_url_is_an_endpoint(url: str) -> None:
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
def test_no_client_is_made_for_a_bad_endpoint(
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


def test_a_bad_endpoint_of_one_service_leaves_the_others_alone(
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
def test_a_bad_endpoint_in_a_profile_is_refused(profile: str, where: str, aws: Path) -> None:
    aws.write_text(profile)
    with pytest.raises(MisconfiguredError, match=where):
        unsigned_client(new_session("eu-west-1"), "s3", "eu-west-1")
    with pytest.raises(MisconfiguredError, match=where):
        refuse_bad_settings(new_session("eu-west-1"))


def test_a_lazy_client_refuses_a_bad_endpoint_at_its_first_call(
    aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:99999")
    client = sqs_client(lazy_session(lambda: new_session("eu-west-1")), "eu-west-1")
    with pytest.raises(MisconfiguredError, match="not a valid URL"), aws_call("receive"):
        client.receive_message(QueueUrl="http://127.0.0.1/q")


@pytest.mark.slow
def test_a_bad_endpoint_is_ignored_if_aws_is_told_to_ignore_it(
    aws: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:1")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    session = new_session("eu-west-1")
    refuse_bad_settings(session)
    assert "amazonaws.com" in sqs_client(session, "eu-west-1").meta.endpoint_url
