from __future__ import annotations

import plistlib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from tests.support.household import configuration

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
MINIMAL = configuration(Path("/mail"), addresses={"anna": []})


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(MINIMAL)
    return path


def client(config: Path, *argv: str) -> int:
    return run(["client", *argv, "--config", str(config)])


def test_settings_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert client(EXAMPLE) == ExitCode.OK
    out = capsys.readouterr().out
    assert out.startswith("thomas <thomas@example.com>\n")
    for line in (
        (
            "    server     mail.example.com\n    port       993 with TLS\n"
            "    user name  thomas@example.com\n"
        ),
        "    port       465 with TLS (or 587 with STARTTLS)\n    user name  AKIAIOSFODNN7EXAMPLE\n",
    ):
        assert line in out
    assert f"postamt-sync dovecot user add --config {EXAMPLE} thomas\n" in out


def test_all_mailboxes_or_one(capsys: pytest.CaptureFixture[str], minimal: Path) -> None:
    host = ("--host", "Mail.Example.com.")
    assert client(minimal, *host) == ExitCode.OK
    both = capsys.readouterr().out
    assert both.startswith("anna\n")
    assert "\nbruno <bruno@example.com>\n" in both
    client(minimal, "bruno", *host)
    assert both.endswith(capsys.readouterr().out)
    assert "    server     mail.example.com\n" in both


def test_with_submission_one_server_and_one_password(capsys: pytest.CaptureFixture[str]) -> None:
    client(EXAMPLE, "--submission")
    out = capsys.readouterr().out
    assert "amazonaws" not in out
    assert "    password   the same as for reading\n" in out


def test_an_unknown_user_is_explained(capsys: pytest.CaptureFixture[str], minimal: Path) -> None:
    client(minimal, "bruno", "--host", "mail.example.com")
    assert "user name  what bootstrap wrote as username" in capsys.readouterr().out


def test_autoconfig_names_the_smtp_user(capsys: pytest.CaptureFixture[str]) -> None:
    assert client(EXAMPLE, "--format", "autoconfig") == ExitCode.OK
    root = ET.fromstring(capsys.readouterr().out)
    assert root.findtext("emailProvider/outgoingServer/username") == "AKIAIOSFODNN7EXAMPLE"


def test_an_apple_profile_holds_the_address_of_the_mailbox(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert client(EXAMPLE, "thomas", "--format", "apple") == ExitCode.OK
    profile = plistlib.loads(capsys.readouterr().out.encode())
    assert profile["PayloadContent"][0]["EmailAddress"] == "thomas@example.com"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "imap_host"),
        (["--host", "here"], "--host must name a whole domain"),
        (["zoe", "--host", "m.example.com"], "Name one of: anna, bruno"),
        (["--host", "m.example.com", "--format", "apple"], "for one mailbox"),
        (["anna", "--host", "m.example.com", "--format", "apple"], "no address"),
        (["--host", "m.example.com", "--format", "autoconfig"], "--smtp-user"),
        (["--host", "m.example.com", "--smtp-user", "anna"], "--smtp-user must be the user name"),
    ],
)
def test_what_cannot_be_said(
    capsys: pytest.CaptureFixture[str], minimal: Path, argv: list[str], said: str
) -> None:
    assert client(minimal, *argv) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in " ".join(captured.err.split())
