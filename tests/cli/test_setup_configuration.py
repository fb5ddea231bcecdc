"""On the machine where setup was typed the AWS side needs no --config."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postamt_sync.cli.main import run
from postamt_sync.cli.setup_configuration import AT_AWS, in_force
from postamt_sync.config.load import DEFAULT_PATH
from postamt_sync.errors import ExitCode
from tests.support.household import configuration

VARIABLE = "POSTAMT_SYNC_CONFIG"

pytestmark = pytest.mark.skipif(DEFAULT_PATH.exists(), reason="this machine is a box")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where setup has kept its configuration."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "postamt-sync/setup/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(configuration(tmp_path, people=["anna"]))
    return path


@pytest.mark.parametrize("verb", sorted(AT_AWS))
def test_what_setup_keeps_is_in_force_while_the_verb_runs(kept: Path, verb: str) -> None:
    with in_force([verb, "plan"]):
        assert os.environ[VARIABLE] == str(kept)
    assert VARIABLE not in os.environ


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["status"],
        ["run"],
        ["bootstrap", "init"],
        ["bootstrap", "plan", "--config", "x"],
        ["bootstrap", "plan", "--config=x"],
    ],
)
def test_other_verbs_ignore_the_configuration_that_setup_keeps(kept: Path, argv: list[str]) -> None:
    with in_force(argv):
        assert VARIABLE not in os.environ
    kept.unlink()
    with in_force(["bootstrap", "plan"]):
        assert VARIABLE not in os.environ


def test_the_environment_variable_goes_before_what_setup_keeps(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/mine")
    with in_force(["bootstrap", "plan"]):
        assert os.environ[VARIABLE] == "/mine"
    assert os.environ[VARIABLE] == "/mine"


def test_the_commands_that_it_names_work_anywhere(
    kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["client", "--host", "mail.example.com"]) == ExitCode.OK
    kept.write_text(kept.read_text() + "[poll]\ninterval = 1\n")
    assert run(["client"]) == ExitCode.CONFIGURATION
    err = capsys.readouterr().err
    assert f"postamt-sync check --config {kept}" in err
