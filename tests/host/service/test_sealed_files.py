"""Files that are ours until someone edits them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.service.sealed_files import FileState, SealedFile


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "etc/unit"


def test_what_was_written_is_known_again(place: Path) -> None:
    file = SealedFile.of(place, "[Unit]\n", 0o755)
    assert file.state() is FileState.MISSING
    file.write()
    assert file.state() is FileState.SAME
    assert place.read_text().startswith("[Unit]\n#")
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    assert SealedFile.of(place, "[Service]\n").state() is FileState.OLD
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize("edit", ["# more\n{}", "{}# more\n", "{}\n", ""])
def test_any_edit_makes_it_someones_own(place: Path, edit: str) -> None:
    file = SealedFile.of(place, "[Unit]\nA=1\n")
    file.write()
    place.write_text(edit.format(place.read_text()))
    assert file.state() is FileState.EDITED
    assert SealedFile.of(place, "[Unit]\nA=2\n").state() is FileState.EDITED


def test_a_seal_does_not_cover_another_text(place: Path) -> None:
    file = SealedFile.of(place, "[Unit]\nA=1\n")
    file.write()
    place.write_text(place.read_text().replace("A=1", "A=2"))
    assert file.state() is FileState.EDITED


def test_a_masked_unit_is_someones_own(place: Path) -> None:
    place.parent.mkdir()
    place.symlink_to("/dev/null")
    assert SealedFile.of(place, "[Unit]\n").state() is FileState.EDITED


def test_where_it_cannot_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MisconfiguredError, match="cannot be written"):
        SealedFile.of(tmp_path / "file/unit", "").write()


def test_a_seal_is_a_comment_of_the_files_own_kind(tmp_path: Path) -> None:
    page = SealedFile.of(tmp_path / "page.1", ".TH X 1\n", comment='.\\"')
    page.write()
    last = page.path.read_text().splitlines()[-1]
    assert last.startswith('.\\" Written by postamt-sync')
    assert page.state() is FileState.SAME
    assert SealedFile.of(page.path, ".TH Y 1\n", comment='.\\"').state() is FileState.OLD
    page.path.write_text(page.path.read_text().replace("X", "Z"))
    assert page.state() is FileState.EDITED
