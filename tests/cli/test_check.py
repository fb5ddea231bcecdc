from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from postamt_sync.cli.check import as_toml, effective
from postamt_sync.cli.main import WIDTH, run
from postamt_sync.config import load
from postamt_sync.errors import ExitCode
from tests.support.household import configuration

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def configured(more: str = "") -> str:
    """Return a configuration with nothing in it that need not be, and these sections."""
    state, maildirs = "/var/lib/postamt-sync", {"anna": "/mail/anna"}
    return configuration(Path("/"), more, people=("anna",), maildirs=maildirs, state=state)


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(configured())
    return path


def test_what_it_shows_is_the_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--config", str(EXAMPLE)]) == ExitCode.FINDINGS  # its files are not here
    shown = tomllib.loads(capsys.readouterr().out)
    assert shown == tomllib.loads(EXAMPLE.read_text())


def test_what_it_shows_can_be_loaded_again(minimal: Path, tmp_path: Path) -> None:
    settings = load(minimal, {})
    again = tmp_path / "again.toml"
    again.write_text(as_toml(settings))
    assert effective(load(again, {})) == effective(settings)


def test_it_says_what_to_do_next(capsys: pytest.CaptureFixture[str], minimal: Path) -> None:
    run(["check", "--config", str(minimal)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"# {minimal}"
    given = f"--config {minimal}"
    assert lines[-1] == (
        f"# All well. Next: postamt-sync sync {given} --dry-run, then postamt-sync run {given}"
    )


def test_an_odd_path_cannot_break_out_of_its_comment(minimal: Path) -> None:
    odd = minimal.rename(minimal.with_name("a\nb = 3"))
    settings = load(odd, {})
    assert settings.source == str(odd)
    assert "b" not in tomllib.loads(as_toml(settings))


def test_it_says_where_values_come_from(minimal: Path) -> None:
    shown = as_toml(load(minimal, {"POSTAMT_SYNC_POLL__INTERVAL": "60"})).splitlines()
    assert 'region = "eu-west-1"' in shown
    (interval,) = (line for line in shown if line.startswith("interval"))
    assert interval.split("#") == [f"{'interval = 60':<42}", " POSTAMT_SYNC_POLL__INTERVAL"]
    (reconcile,) = (line for line in shown if line.startswith("reconcile"))
    assert reconcile.endswith("# default")


def test_it_says_when_no_envelope_can_be_waited_for(minimal: Path) -> None:
    assert "# envelope_grace is 0 in effect: no source of envelopes is set." in as_toml(
        load(minimal, {})
    )
    assert "in effect" not in as_toml(load(minimal, {"POSTAMT_SYNC_INDEX__TABLE": "postamt"}))


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_passwords_in_urls_are_masked(
    capsys: pytest.CaptureFixture[str], minimal: Path, arguments: list[str]
) -> None:
    text = minimal.read_text()
    topic = 'topic_arn = "arn:aws:sns:eu-west-1:123456789012:postamt"\n'
    url = 'url = "https://anna:hunter2@sqs.example.com/a@b"\n'
    minimal.write_text(f"{text}[queue]\n{url}{topic}")
    assert run(["check", "--config", str(minimal), *arguments]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "https://***@sqs.example.com/a@b" in out
    assert "hunter2" not in out
    assert "anna:" not in out


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_the_path_of_the_heartbeat_is_masked(
    capsys: pytest.CaptureFixture[str], minimal: Path, arguments: list[str]
) -> None:
    minimal.write_text(
        configured('[poll]\nheartbeat_url = "https://me:hunter2@hc.example.com:8/5f3e?a=5f3e"')
    )
    assert run(["check", "--config", str(minimal), *arguments]) == ExitCode.OK
    out = capsys.readouterr().out
    assert '"https://hc.example.com:8/***"' in out
    assert "hunter2" not in out
    assert "5f3e" not in out


def test_json_holds_every_setting_with_its_default(
    capsys: pytest.CaptureFixture[str], minimal: Path
) -> None:
    assert run(["check", "--config", str(minimal), "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["source"] == str(minimal)
    assert shown["settings"]["poll"] == {
        "interval": 300,
        "reconcile_interval": 86_400,
        "heartbeat_url": "",
    }
    assert shown["settings"]["mailboxes"][0]["maildir"] == "/mail/anna"


def test_problems_are_printed_one_a_line(capsys: pytest.CaptureFixture[str], minimal: Path) -> None:
    minimal.write_text(configured("[poll]\ninterval = 1\n[admin]\nlisten = '0.0.0.0:1'"))
    assert run(["check", "--config", str(minimal)]) == ExitCode.CONFIGURATION
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.partition("problems.\n")[2].splitlines() == [
        "  poll.interval: must be at least 10.",
        "      Example: interval = 300",
        "  admin.listen: must be a loopback address: the page shows who gets mail.",
        '      Example: listen = "127.0.0.1:9125"',
        f"Hint: Fix what is listed and check it with: postamt-sync check --config {minimal}",
    ]


def test_problems_are_not_broken_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], minimal: Path
) -> None:
    minimal.write_text("[webhook]\npublic_url = 'https://h.example.com/x'\ntls_key = '/k'\n")
    run(["check", "--config", str(minimal)])
    lines = capsys.readouterr().err.partition("problems.\n")[2].splitlines()
    assert all(line.startswith(("  ", "Hint: ")) for line in lines)
    assert max(map(len, lines)) > WIDTH


def test_problems_as_json(capsys: pytest.CaptureFixture[str], minimal: Path) -> None:
    minimal.write_text(configured("[poll]\ninterval = 1"))
    assert run(["check", "--json", "--config", str(minimal)]) == ExitCode.CONFIGURATION
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out) == {
        "error": f"The configuration {minimal} has 1 problem.",
        "problems": [
            {"key": "poll.interval", "wrong": "must be at least 10.", "example": "interval = 300"}
        ],
    }
