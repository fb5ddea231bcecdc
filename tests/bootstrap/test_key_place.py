"""The note beside the configuration helps people, decides nothing and harms nobody."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from postamt_sync.bootstrap.key_place import NO_HINTS, KeyHints


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text("")
    return path


def test_what_is_remembered_is_known_again(config: Path) -> None:
    hints = KeyHints(config)
    assert hints.remember({"AKIAA": Path("/k/credentials"), "": Path("/nothing")}) == ""
    assert hints.remember({"AKIAB": Path("/k/smtp-credentials")}) == ""
    assert hints.files() == {
        "AKIAA": Path("/k/credentials"),
        "AKIAB": Path("/k/smtp-credentials"),
    }
    assert hints.smtp_files() == (Path("/k/smtp-credentials"),)
    note = config.with_name("config.toml.key-files")
    assert note.stat().st_mode & 0o777 == 0o644


def test_only_the_last_ones_are_remembered(config: Path) -> None:
    for number in range(30):
        KeyHints(config).remember({f"AKIA{number}": Path("/k")})
    assert list(KeyHints(config).files()) == [f"AKIA{n}" for n in range(14, 30)]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"keys": []}',
        b'{"keys": {"A": "relative"}}',
        b'{"keys": {"A": 1}}',
        b'{"keys": {"A": "/with\\u0000nul"}}',
        b"[" * 60_000,
        b'{"keys": {"A": "/' + b"a" * 70_000 + b'"}}',
    ],
)
def test_what_is_no_note_says_nothing(config: Path, content: bytes) -> None:
    config.with_name("config.toml.key-files").write_bytes(content)
    assert KeyHints(config).files() == {}
    assert KeyHints(config).remember({"AKIAA": Path("/k")}) == ""
    assert KeyHints(config).files() == {"AKIAA": Path("/k")}


def test_a_link_is_remembered_beside_its_name_and_read_beside_both(tmp_path: Path) -> None:
    target = tmp_path / "store/config.toml"
    target.parent.mkdir()
    target.write_text("")
    KeyHints(target).remember({"AKIAA": Path("/a")})
    link = tmp_path / "config.toml"
    link.symlink_to(target)
    KeyHints(link).remember({"AKIAB": Path("/b")})
    assert KeyHints(link).files() == {"AKIAA": Path("/a"), "AKIAB": Path("/b")}
    assert KeyHints(target).files() == {"AKIAA": Path("/a")}


def test_a_link_in_the_note_s_place_is_not_followed(config: Path) -> None:
    theirs = config.with_name("theirs")
    theirs.write_text("theirs")
    config.with_name("config.toml.key-files").symlink_to(theirs)
    KeyHints(config).remember({"AKIAA": Path("/k")})
    assert theirs.read_text() == "theirs"


def test_a_place_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    """A directory in the way of the temporary file stops root as well."""
    config = tmp_path / "config.toml"
    config.write_text("")
    (tmp_path / ".config.toml.key-files.new").mkdir()
    told = KeyHints(config).remember({"AKIAA": Path("/k")})
    assert told.startswith(f"Where the keys are could not be noted in {config}.key-files (")


def test_on_a_read_only_file_system_too(read_only: Path) -> None:
    config = read_only / "config.toml"
    subprocess.run(["mount", "-o", "remount,rw", str(read_only)], check=True)
    config.write_text("")
    subprocess.run(["mount", "-o", "remount,ro", str(read_only)], check=True)
    told = KeyHints(config).remember({"AKIAA": Path("/k")})
    assert "(Read-only file system); nothing else depends on it." in told


def test_beside_what_is_no_file_nothing_is_written() -> None:
    assert KeyHints(Path("/dev/null")).remember({"AKIAA": Path("/k")}) == ""
    assert not Path("/dev/null.key-files").exists()
    assert NO_HINTS.remember({"AKIAA": Path("/k")}) == ""
