"""A file is there whole or not at all, and never more open than it is to be."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from postamt_sync import atomic_file


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o755])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_mode_is_the_one_asked_for_whatever_the_umask(
    tmp_path: Path, mode: int, umask: int
) -> None:
    before = os.umask(umask)
    try:
        atomic_file.write(tmp_path / "file", "text", mode)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "file") == mode
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_it_is_private_unless_said_otherwise_also_over_an_open_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o666)
    atomic_file.write(path, b"new")
    assert mode_of(path) == 0o600


def test_it_never_was_more_open_than_it_is(tmp_path: Path) -> None:
    seen = []
    before = os.umask(0)
    try:
        atomic_file.write(
            tmp_path / "file",
            "secret",
            0o640,
            finish=lambda handle: seen.append(stat.S_IMODE(os.fstat(handle).st_mode)),
        )
    finally:
        os.umask(before)
    assert seen == [0o640]


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("theirs")
    for link in (tmp_path / "file", tmp_path / ".file.new"):
        link.symlink_to(elsewhere)
    atomic_file.write(tmp_path / "file", "ours")
    assert (tmp_path / "file").read_text() == "ours"
    assert not (tmp_path / "file").is_symlink()
    assert not (tmp_path / ".file.new").exists()
    assert elsewhere.read_text() == "theirs"


def test_what_was_cut_off_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".file.new").write_text("half of")
    atomic_file.write(tmp_path / "file", "all")
    assert (tmp_path / "file").read_text() == "all"
    assert not (tmp_path / ".file.new").exists()


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        atomic_file.write(path, "new", finish=fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_in_the_place_stays_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        atomic_file.write(tmp_path / "file", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
def test_readers_see_the_old_or_the_new(tmp_path: Path) -> None:
    path = tmp_path / "file"
    texts = ["a" * 100_000, "b" * 100_000]
    atomic_file.write(path, texts[0])
    ended = threading.Event()
    wrong: list[str] = []

    def read() -> None:
        while not ended.is_set():
            text = path.read_text()
            if text not in texts:
                wrong.append(text)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(50):
        atomic_file.write(path, texts[number % 2])
    ended.set()
    reader.join()
    assert wrong == []


def test_a_file_for_others_to_fill_is_new_and_private(tmp_path: Path) -> None:
    atomic_file.make_private(tmp_path / "file")
    assert mode_of(tmp_path / "file") == 0o600
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for there in ("file", "link"):
        with pytest.raises(FileExistsError):
            atomic_file.make_private(tmp_path / there)
