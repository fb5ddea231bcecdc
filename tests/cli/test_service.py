"""What `service` says where it cannot or should not do anything; see also tests/home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from tests.doubles.sns import certificate_pem, key_pem, private_key

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    text = EXAMPLE.read_text().replace("/var/mail/vhosts", str(tmp_path / "mail"))
    path.write_text(text.replace("/etc/postamt-sync/tls", str(tmp_path / "tls")))
    return path


def test_a_dry_run_needs_no_root_and_shows_every_step(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(config.parent.rglob("*"))
    assert run(["service", "install", "--dry-run", "--config", str(config)]) == ExitCode.OK
    said = capsys.readouterr().out
    assert "/etc/systemd/system/postamt-sync.service.d/10-this-machine.conf" in said
    assert f"make    {config.parent}/mail/example.com/thomas/Maildir for postamt-sync" in said
    assert "run     systemctl start postamt-sync.socket postamt-sync.service" in said
    assert sorted(config.parent.rglob("*")) == before


@pytest.mark.parametrize("verb", ["install", "uninstall"])
def test_without_the_rights_nothing_is_begun(
    verb: str, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if os.geteuid() == 0 and Path("/run/systemd/system").is_dir():
        pytest.skip("here it could really be done")
    code = run(["service", verb, "--config", str(config)])
    said = capsys.readouterr()
    assert said.out == ""
    assert code in {ExitCode.USAGE, ExitCode.CONFIGURATION}
    assert "sudo" in said.err or "postamt-sync run" in said.err


def test_the_example_as_it_stands_is_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE.read_text())
    code = run(["service", "install", "--dry-run", "--config", str(path)])
    assert code == ExitCode.CONFIGURATION
    assert "still the example" in capsys.readouterr().err


def test_a_dry_run_without_a_configuration_puts_none_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.toml"
    code = run(["service", "install", "--dry-run", "--config", str(path)])
    assert code == ExitCode.CONFIGURATION
    assert "There is no" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.parametrize("if_ours", [True, False])
def test_a_certificate_of_another_host(
    config: Path, capsys: pytest.CaptureFixture[str], if_ours: bool
) -> None:
    chain, key = config.parent / "chain.pem", config.parent / "key.pem"
    chain.write_bytes(certificate_pem(private_key(), name="www.example.org"))
    key.write_bytes(key_pem(private_key()))
    options = ["--if-ours"] if if_ours else []
    code = run(["service", "certificate", *options, str(chain), str(key), "--config", str(config)])
    said = capsys.readouterr()
    assert code == (ExitCode.OK if if_ours else ExitCode.CONFIGURATION)
    assert "home.example.com" in said.out + said.err


def test_a_certificate_for_a_webhook_that_has_none(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("tls_")))
    code = run(["service", "certificate", "a", "b", "--config", str(config)])
    assert code == ExitCode.CONFIGURATION
    assert "webhook.tls_certificate" in capsys.readouterr().err
