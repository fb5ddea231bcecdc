from __future__ import annotations

import stat
from pathlib import Path

import pytest

from postamt_sync.errors import MisconfiguredError
from postamt_sync.setup.answers import AnswerFile, Answers, setup_directory

SOME = Answers(domains=("example.org",), people=("ann", "ben"), public_url="", here=False)


def test_they_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path / "a" / "setup")
    assert file.read() == Answers()
    file.write(SOME)
    assert file.read() == SOME
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.directory.stat().st_mode) == 0o700


def test_what_is_no_answer_of_ours_is_asked_again(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path)
    file.path.write_text('{"domains": "x", "people": [1], "here": "y", "region": 5, "more": 1}')
    assert file.read() == Answers()
    file.path.write_text("[]")
    assert file.read() == Answers()


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    file = AnswerFile(tmp_path)
    file.path.write_text('{"domains": ["exam')
    with pytest.raises(MisconfiguredError, match="cannot be read"):
        file.read()


def test_with_all_questions_open_what_was_made_is_still_known() -> None:
    made = Answers(domains=("a.org",), account="1", bucket="b", bucket_of="c", first_key="k")
    again = made.without_questions()
    assert again == Answers(account="1", bucket="b", bucket_of="c", first_key="k")


def test_the_place_is_the_same_on_every_run() -> None:
    place = setup_directory({"XDG_CONFIG_HOME": "/x"})
    assert place == Path("/x/postamt-sync/setup")
