"""How the program was installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.service.program import EXAMPLE, PACKAGE, Program, hidden, shipped

REPOSITORY = Path(__file__).parents[3]


def prefix_at(place: Path) -> Path:
    (place / "bin").mkdir(parents=True)
    (place / "bin/postamt-sync").touch()
    return place


def test_pipx_on_the_systems_python(tmp_path: Path) -> None:
    venv = prefix_at(tmp_path / "venvs/postamt-sync")
    package = venv / "lib/python3.13/site-packages/postamt_sync"
    program = Program.running(venv, Path("/usr"), package)
    assert program.command == venv / "bin/postamt-sync"
    assert program.places == (venv,)


def test_a_virtual_environment_with_another_python_and_an_editable_source(tmp_path: Path) -> None:
    venv = prefix_at(tmp_path / "checkout/.venv")
    program = Program.running(venv, Path("/opt/python"), tmp_path / "checkout/postamt_sync")
    assert program.places == (Path("/opt/python"), tmp_path / "checkout")


def test_a_python_reached_by_a_link_is_named_twice(tmp_path: Path) -> None:
    (tmp_path / "python3.13.1").mkdir()
    (tmp_path / "python").symlink_to("python3.13.1")
    venv = prefix_at(tmp_path / "venv")
    places = Program.running(venv, tmp_path / "python", venv / "lib/postamt_sync").places
    assert set(places) == {tmp_path / "python", tmp_path / "python3.13.1", venv}


def test_no_command_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="pipx"):
        Program.running(tmp_path, Path("/usr"), tmp_path)


def test_the_running_program_is_found_with_its_places() -> None:
    program = Program.running()
    assert program.command.is_file()
    assert any(PACKAGE.is_relative_to(place) for place in program.places)
    assert any(Path(sys.prefix).is_relative_to(place) for place in program.places)


@pytest.mark.parametrize(
    ("path", "is_hidden"), [("/home/pi/x", True), ("/root", True), ("/homestead", False)]
)
def test_paths_below_homes_are_hidden_from_the_unit(path: str, is_hidden: bool) -> None:
    assert hidden(Path(path)) is is_hidden


def test_what_is_shipped_is_what_the_repository_has() -> None:
    assert shipped(EXAMPLE) == (REPOSITORY / EXAMPLE).read_text()
    for path in (REPOSITORY / "systemd").rglob("*"):
        if path.is_file():
            assert shipped(str(path.relative_to(REPOSITORY / "systemd"))) == path.read_text()
