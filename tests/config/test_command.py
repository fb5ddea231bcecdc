"""A command that we show works when it is typed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from postamt_sync.config.command import CommandLine, typed
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
