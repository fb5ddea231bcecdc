"""`sudo postamt-sync doctor` on the box asks AWS as the daemon does, unless told otherwise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postamt_sync.cli.daemon_credentials import AT_HOME, VARIABLE, how_to_lend, in_force
from postamt_sync.cli.verbs import VERBS
from postamt_sync.errors import CredentialsError, MisconfiguredError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root reads the daemon's keys")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A box with the daemon's keys, and a root who has none."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "POSTAMT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "credentials"
    file.write_text("[default]\n")
    return file


def taken(words: str, file: Path) -> bool:
    with in_force(words.split(), file):
        found = os.environ.get(VARIABLE) == str(file)
    assert VARIABLE not in os.environ or os.environ[VARIABLE] == "named"
    return found


@pytest.mark.parametrize("words", ["doctor", "find --cloud tea", "verify", "restore --dry-run"])
def test_they_are_taken_where_nothing_else_is_named(kept: Path, words: str) -> None:
    assert taken(words, kept)


@pytest.mark.parametrize(
    "words", ["bootstrap verify", "setup", "webmail serve", "doctor --config x"]
)
def test_an_administrators_verbs_and_other_configurations_do_not_take_them(
    kept: Path, words: str
) -> None:
    assert not taken(words, kept)


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", VARIABLE])
def test_what_the_environment_names_counts(
    kept: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "named")
    assert not taken("doctor", kept)


def test_roots_own_count_and_without_the_file_nothing_changes(kept: Path, tmp_path: Path) -> None:
    assert not taken("doctor", tmp_path / "missing")
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/credentials").write_text("")
    assert not taken("doctor", kept)


def test_all_of_them_are_verbs() -> None:
    assert {verb.name for verb in VERBS} >= AT_HOME


def test_who_may_not_read_them_is_told_how_root_lends_them(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = CredentialsError("There are no AWS credentials.")
    assert how_to_lend(none, kept) == "", "root reads them"
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    assert f"-o nobody {kept} {tmp_path}/.aws/credentials" in how_to_lend(none, kept)
    assert how_to_lend(MisconfiguredError("Another trouble."), kept) == ""
    assert how_to_lend(none, tmp_path / "missing") == ""
    monkeypatch.setenv("AWS_PROFILE", "named")
    assert how_to_lend(none, kept) == ""
