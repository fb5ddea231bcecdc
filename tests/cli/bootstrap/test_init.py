from __future__ import annotations

import re
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.config import load
from postamt_sync.errors import ExitCode
from tests.doubles.account import Account

USUAL = ("--domain", "example.org", "--region", "eu-west-1", "--mailbox", "ann", "--mailbox", "ben")


def init(tmp_path: Path, *message: str) -> int:
    return run(["bootstrap", "init", *message, "--output", str(tmp_path / "config.toml")])


def test_the_file_is_one_that_the_daemon_takes(aws: Account, tmp_path: Path) -> None:
    url = "https://home.example.org/sns"
    assert init(tmp_path, *USUAL, "--public-url", url) == ExitCode.OK
    settings = load(tmp_path / "config.toml", {})
    assert settings.bucket.name == "postamt-123456789012-eu-west-1-an"
    assert settings.stack.domains == ("example.org",)
    assert settings.webhook is not None
    assert settings.webhook.public_url == url
    assert settings.webhook.topic_arn == "arn:aws:sns:eu-west-1:123456789012:postamt"
    assert [str(address) for address in settings.webhook.listen] == ["0.0.0.0:8443", "[::]:8443"]
    assert settings.default_mailbox.name == "ann"
    assert settings.mailboxes[1].addresses == ("ben@example.org",)
    assert aws.writes == []


@pytest.mark.parametrize("region", ["me-south-1"])
def test_without_a_namespace_of_one_s_own_the_bucket_s_name_is_drawn(
    tmp_path: Path, region: str
) -> None:
    drawn = []
    for number in range(2):
        place = tmp_path / str(number)
        place.mkdir()
        message = (*USUAL[:2], "--region", region, *USUAL[4:], "--no-port", "--name", "n" * 30)
        assert init(place, *message, "--account", "123456789012") == ExitCode.OK
        name = load(place / "config.toml", {}).bucket.name
        assert re.fullmatch("n{30}-[0-9a-f]{16}", name)
        drawn.append(name)
    assert drawn[0] != drawn[1]


def test_without_an_open_port_the_queue_does_it_all(aws: Account, tmp_path: Path) -> None:
    assert init(tmp_path, *USUAL, "--no-port") == ExitCode.OK
    settings = load(tmp_path / "config.toml", {})
    assert settings.webhook is None
    assert settings.queue.url.endswith("/123456789012/postamt")
    assert settings.queue.topic_arn == "arn:aws:sns:eu-west-1:123456789012:postamt"


def test_behind_a_proxy_we_speak_plain_http_on_loopback(aws: Account, tmp_path: Path) -> None:
    url = "https://home.example.org/hook"
    assert init(tmp_path, *USUAL, "--public-url", url, "--proxied") == ExitCode.OK
    webhook = load(tmp_path / "config.toml", {}).webhook
    assert webhook is not None
    assert webhook.tls_certificate is None
    assert [str(address) for address in webhook.listen] == ["127.0.0.1:8080"]
    assert webhook.path == "/hook"


def test_the_account_can_be_named_so_that_nobody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert init(tmp_path, *USUAL, "--no-port", "--account", "111122223333") == ExitCode.OK
    settings = load(tmp_path / "config.toml", {})
    assert settings.bucket.name == "postamt-111122223333-eu-west-1-an"
    assert settings.queue.url == "https://sqs.eu-west-1.amazonaws.com/111122223333/postamt"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (USUAL[2:], "--domain is missing"),
        (USUAL[:2], "--region is missing"),
        (USUAL[:4], "--mailbox is missing"),
        (USUAL, "--public-url or --no-port is missing"),
        ((*USUAL, "--no-port", "--public-url", "https://x.org/"), "exclude each other"),
        (("--domain", "no domain", *USUAL[2:]), "must name a domain"),
        (("--domain", "example.org", "--region", "mars-1"), "SES receives no mail in mars-1"),
        (("--name", "ab"), "3 to 30 lower-case letters"),
        (("--name", "mail-"), "end with a letter or digit"),
        (("--name", "xn--mail"), "must not start with xn--"),
    ],
)
def test_wrong_answers_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], message: tuple[str, ...], said: str
) -> None:
    assert init(tmp_path, *message) == ExitCode.USAGE
    assert said in capsys.readouterr().err
    assert not (tmp_path / "config.toml").exists()


def test_what_the_daemon_would_not_take_is_not_written(
    aws: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = ("--domain", "example.org", "--region", "eu-west-1", "--mailbox", "Ann!", "--no-port")
    assert init(tmp_path, *message) == ExitCode.CONFIGURATION
    assert "lower-case letters" in capsys.readouterr().err
    assert not (tmp_path / "config.toml").exists()


def test_a_file_that_is_there_is_kept(
    aws: Account, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text("mine")
    assert init(tmp_path, *USUAL, "--no-port") == ExitCode.USAGE
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "config.toml").read_text() == "mine"
