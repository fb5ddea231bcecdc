"""Removing the service, which needs no configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from postamt_sync.host.service.sealed_files import SealedFile
from postamt_sync.host.service.service import DROPIN, SERVICE, SOCKET, removal


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    systemd = tmp_path / "systemd/system"
    for path in (
        *(systemd / SERVICE, systemd / f"{SERVICE}.d" / DROPIN, systemd / SOCKET),
        tmp_path / "sysusers.d/postamt-sync.conf",
        tmp_path / "letsencrypt/renewal-hooks/deploy/postamt-sync",
    ):
        SealedFile.of(path, "of an older version\n").write()
    return tmp_path


def test_what_bears_our_seal_goes_whatever_version_wrote_it(etc: Path) -> None:
    steps = [str(step) for step in removal(etc)]
    assert len([step for step in steps if step.startswith("remove")]) == 5
    assert any("disable" in step and SERVICE in step for step in steps)


def test_an_edited_file_is_left_alone(etc: Path) -> None:
    path = etc / "sysusers.d/postamt-sync.conf"
    path.write_text(path.read_text() + "u me\n")
    assert [str(step) for step in removal(etc) if "leave" in str(step)] == [
        f"leave   {path}: was edited; remove it by hand"
    ]


def test_nothing_installed_means_nothing_to_remove(tmp_path: Path) -> None:
    assert removal(tmp_path) == []


@pytest.mark.parametrize("config", ["none.toml", "broken.toml"])
def test_a_dry_run_works_without_a_configuration(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.toml").write_text("[aws")
    argv = ["service", "uninstall", "--dry-run", "--config", str(tmp_path / config)]
    assert run(argv) == ExitCode.OK
    said = capsys.readouterr()
    assert said.err == ""
    assert "stay as they are" in said.out
