"""What `setup` says of the file for the box."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from postamt_sync.cli.setup_bundle import USUAL, hand_over
from postamt_sync.setup.answers import AnswerFile, Answers
from postamt_sync.setup.bundle import Bundle, is_bundle

BUNDLE = Bundle({"config.toml": "", "credentials": "s"})


@pytest.mark.slow
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


def said_of(tmp_path: Path, path: Path, answers: Answers, *, anew: bool = False) -> str:
    out = io.StringIO()
    hand_over(BUNDLE, path, AnswerFile(tmp_path / "kept"), answers, Console(file=out), anew=anew)
    return out.getvalue()


@pytest.mark.slow
def test_a_bundle_that_was_used_and_deleted_is_not_made_again_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    usual, made = USUAL.absolute(), Answers(bundle_digest=BUNDLE.digest)
    assert "--new-bundle" in said_of(tmp_path, usual, made)
    assert not usual.exists()
    said_of(tmp_path, usual, made, anew=True)
    assert is_bundle(usual)
    assert "Its passphrase was shown" in said_of(tmp_path, usual, made)
    said_of(tmp_path, tmp_path / "named", made)
    assert is_bundle(tmp_path / "named"), "where somebody names a place, the file is wanted there"
    usual.unlink()
    said_of(tmp_path, usual, Answers(bundle_digest="of other contents"))
    assert is_bundle(usual)


@pytest.mark.slow
def test_where_this_machine_is_the_box_root_joins_it_here(tmp_path: Path) -> None:
    path = tmp_path / "it is here"
    said = said_of(tmp_path, path, Answers(here=True))
    (command,) = [line for line in said.splitlines() if " join " in line]
    program, *words = shlex.split(command)
    assert Path(program).is_absolute()
    assert words == ["join", str(path)]
    assert "scp" not in said
