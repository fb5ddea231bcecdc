"""What `setup` says of the file for the box."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from postamt_sync.cli.setup_bundle import hand_over
from postamt_sync.setup.answers import AnswerFile, Answers
from postamt_sync.setup.bundle import Bundle, is_bundle

BUNDLE = Bundle({"config.toml": "", "credentials": "s"})


@pytest.mark.parametrize("name", ["postamt-sync.bundle", "for the box", "it's", "$HOME;ls"])
def test_its_commands_can_be_typed_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a very long directory, as people have them at home" / name
    path.parent.mkdir()
    out = io.StringIO()
    console = Console(file=out, width=60)
    hand_over(BUNDLE, path, AnswerFile(tmp_path / "kept"), Answers(), console, anew=True)
    assert is_bundle(path)
    said = [line.strip() for line in out.getvalue().splitlines()]
    commands = [shlex.split(line) for line in said if line.startswith(("scp ", "sudo "))]
    assert commands == [
        ["scp", str(path), "BOX:"],
        ["sudo", "postamt-sync", "join", name],
    ]
