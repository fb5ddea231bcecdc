"""Files that must be there, as `check` looks at them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.config import load
from postamt_sync.config.needed_files import lacking_files
from postamt_sync.errors import ExitCode


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for name in ("chain.pem", "key.pem", "imap.pem", "imap.key"):
        (tmp_path / name).write_text("x")
    (tmp_path / "copy").mkdir()
    path = tmp_path / "config.toml"
    path.write_text(
        f'state_dir = "{tmp_path}/state"\nbackup_dir = "{tmp_path}/copy"\n'
        '[aws]\nregion = "eu-west-1"\n[bucket]\nname = "mails"\n'
        '[webhook]\npublic_url = "https://h.example.org/sns"\n'
        'topic_arn = "arn:aws:sns:eu-west-1:123456789012:t"\n'
        f'tls_certificate = "{tmp_path}/chain.pem"\ntls_key = "{tmp_path}/key.pem"\n'
        f'[home]\ntls_certificate = "{tmp_path}/imap.pem"\ntls_key = "{tmp_path}/imap.key"\n'
        f'[[mailboxes]]\nname = "anna"\nmaildir = "{tmp_path}/anna"\naddresses = ["example.org"]\n'
    )
    return path


def test_all_are_there(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lacking_files(load(config, {})) == []
    assert run(["check", "--config", str(config)]) == ExitCode.OK
    assert "# All well." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("chain.pem", "webhook.tls_certificate"),
        ("key.pem", "webhook.tls_key"),
        ("imap.pem", "home.tls_certificate"),
        ("imap.key", "home.tls_key"),
    ],
)
@pytest.mark.parametrize("spoil", ["missing", "fifo", "directory", "dangling"])
def test_one_that_is_not(
    config: Path, name: str, key: str, spoil: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config.parent / name
    path.unlink()
    if spoil == "fifo":
        os.mkfifo(path)
    elif spoil == "directory":
        path.mkdir()
    elif spoil == "dangling":
        path.symlink_to(config.parent / "nowhere")
    (problem,) = lacking_files(load(config, {}))
    assert problem.key == key
    assert str(path) in problem.wrong
    assert run(["check", "--config", str(config)]) == ExitCode.FINDINGS
    out = capsys.readouterr().out
    assert f"# {key}: " in out
    assert "All well" not in out


def test_the_copy_of_the_ledger_needs_its_directory(config: Path) -> None:
    (config.parent / "copy").rmdir()
    (problem,) = lacking_files(load(config, {}))
    assert problem.key == "backup_dir"
