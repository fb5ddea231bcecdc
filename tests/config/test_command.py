"""A command that we show works when it is typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from postamt_sync.config.command import CommandLine, commands_in, fill, typed
from postamt_sync.config.load import DEFAULT_PATH


def test_the_usual_configuration_needs_no_word() -> None:
    assert typed("status") == typed("status", str(DEFAULT_PATH)) == "postamt-sync status"


@pytest.mark.parametrize("name", ["a.toml", "with space.toml", "it's.toml", "$HOME;ls.toml"])
def test_a_path_is_one_word_of_the_shell_whoever_says_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert shlex.split(typed("status", str(path)))[-2:] == ["--config", str(path)]
    words = shlex.split(CommandLine(str(path), tmp_path).typed("bootstrap apply"))
    places = ("--config", str(path), "--out", str(tmp_path))
    assert words == ["postamt-sync", "bootstrap", "apply", *places]


@pytest.mark.parametrize(
    "verb",
    [
        *("bootstrap credentials replace smtp", "bootstrap credentials replace sync"),
        *("bootstrap credentials rotate smtp --mailbox anna", "dovecot user passwd anna"),
        *("mailbox accept thomas", "quarantine retry 0a1b2c", "quarantine retry incoming/a.b"),
        *("redeliver 'incoming/a b'", "restore --only absent", "status", "webmail user rotate x"),
    ],
)
@pytest.mark.parametrize("source", ["", "/home/x/configurations/of mine/config.toml"])
def test_a_command_stays_in_one_piece_with_all_that_belongs_to_it(verb: str, source: str) -> None:
    """Options that are in force stand before or after what it is about."""
    line = CommandLine(source)
    for command in (line.typed(verb), line.complete(f"postamt-sync {verb}")):
        for text in (f"If it is lost: {command}", f"Then type as root: sudo {command}."):
            ((start, end),) = commands_in(text)
            assert text[start:end].removeprefix("sudo ").rstrip(".") == command
            for width in range(20, 100, 7):
                assert any(command in line for line in fill(text, width).splitlines())


@pytest.mark.parametrize(
    "after", [" and then wait.", ", which tells.", " fetches it", " (or more)"]
)
def test_what_only_follows_a_command_is_no_part_of_it(after: str) -> None:
    command = CommandLine("/c.toml").typed("sync")
    ((start, end),) = commands_in(f"So: {command}{after}")
    assert f"So: {command}"[start:end] == command


@pytest.mark.parametrize(
    "command",
    ["postamt-sync bootstrap dns --route53", "postamt-sync setup --certificate none --new-bundle"],
)
def test_an_option_is_whole_with_its_digits_and_its_value(command: str) -> None:
    text = f"Have it made: {command} and wait."
    ((start, end),) = commands_in(text)
    assert text[start:end] == command
