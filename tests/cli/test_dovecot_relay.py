from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.bootstrap.key_place import KeyHints
from postamt_sync.cli.main import WIDTH, run
from postamt_sync.errors import ExitCode

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
USER, PASSWORD = "AKIAIOSFODNN7EXAMPLE", "BHousehold/house+household0123456789abcdefg="


def relay(tmp_path: Path, text: str, *argv: str) -> int:
    file = tmp_path / "smtp"
    file.write_text(text)
    where = ("--directory", str(tmp_path), "--config", str(EXAMPLE))
    return run(["dovecot", "relay", str(file), *argv, *where])


def credentials(user: str = USER, password: str = PASSWORD) -> str:
    return f"# made by bootstrap\n[smtp]\nserver = s\nusername = {user}\npassword = {password}\n"


def test_help_fits_80_columns_and_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dovecot", "relay", "--help"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "\n  Examples:\n" in out
    assert max(map(len, out.splitlines())) <= WIDTH


def test_the_households_credentials_are_roots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert relay(tmp_path, credentials()) == ExitCode.OK
    path = tmp_path / "postamt-sync.relay.conf"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().splitlines()[1:] == [
        f"submission_relay_user = {USER}",
        f"submission_relay_password = {PASSWORD}",
    ]
    out = capsys.readouterr().out
    assert USER in out
    assert PASSWORD not in out


def test_a_mailboxs_own_are_in_a_list(tmp_path: Path) -> None:
    for user in ("AKIAFIRST00000000000", USER):
        assert relay(tmp_path, credentials(user), "--mailbox", "thomas") == ExitCode.OK
    path = tmp_path / "postamt-sync.senders"
    assert path.stat().st_mode & 0o007 == 0
    fields = f"userdb_submission_relay_user={USER} userdb_submission_relay_password={PASSWORD}"
    assert path.read_text() == f"thomas:::::::{fields}\n"
    assert not (tmp_path / "postamt-sync.relay.conf").exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no section",
        "[smtp]\nusername = x\n",
        credentials(user="akia; rm"),
        credentials(password=f"{PASSWORD} x=y"),
        credentials(password="<file"),
        credentials(password=f"{PASSWORD}\n  ssl = no"),
        "[smtp]\nusername = \xff\n",
    ],
)
def test_what_holds_no_credentials_of_ses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert relay(tmp_path, text) == ExitCode.CONFIGURATION
    assert PASSWORD not in capsys.readouterr().err
    assert not (tmp_path / "postamt-sync.relay.conf").exists()


def test_a_mailbox_that_is_not_there(tmp_path: Path) -> None:
    assert relay(tmp_path, credentials(), "--mailbox", "zoe") == ExitCode.USAGE


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--directory", str(tmp_path), "--config", str(EXAMPLE))
    assert run(["dovecot", "relay", str(tmp_path / "none"), *where]) == ExitCode.CONFIGURATION
    assert "No such file" in capsys.readouterr().err


def test_a_wrong_file_is_answered_with_the_one_that_bootstrap_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    config.write_bytes(EXAMPLE.read_bytes())
    KeyHints(config).remember({USER: tmp_path / "smtp-credentials"})
    for name in ("nowhere", "config.toml"):
        typed = ["dovecot", "relay", str(tmp_path / name), "--config", str(config)]
        assert run(typed) == ExitCode.CONFIGURATION
        err = " ".join(capsys.readouterr().err.split())
        assert f"Bootstrap has written: {tmp_path}/smtp-credentials." in err
