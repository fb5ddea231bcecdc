from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.delivery.disk import Disk, HeldDirectory, disk_trouble, is_read_only
from postamt_sync.errors import TryLaterError


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    old = os.umask(request.param)
    yield request.param
    os.umask(old)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


class TestModes:
    def test_files_are_the_owners_alone(self, tmp_path: Path, umask: int) -> None:
        disk = Disk()
        disk.close(disk.create(tmp_path / "f"))
        assert mode(tmp_path / "f") == 0o600

    def test_directories_are_the_owners_alone(self, tmp_path: Path, umask: int) -> None:
        Disk().make_directory(tmp_path / "d")
        assert mode(tmp_path / "d") == 0o700

    def test_a_directory_that_is_there_keeps_its_mode(self, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d").chmod(0o2770)
        Disk().make_directory(tmp_path / "d")
        assert mode(tmp_path / "d") == 0o2770


class TestCreate:
    def test_what_is_there_is_never_opened(self, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(b"someone's")
        with pytest.raises(FileExistsError):
            Disk().create(tmp_path / "f")
        assert (tmp_path / "f").read_bytes() == b"someone's"

    @pytest.mark.parametrize("there", [True, False])
    def test_a_link_is_never_followed(self, tmp_path: Path, there: bool) -> None:
        target = tmp_path / "target"
        if there:
            target.write_bytes(b"precious")
        (tmp_path / "f").symlink_to(target)
        with pytest.raises(FileExistsError):
            Disk().create(tmp_path / "f")
        assert target.exists() is there

    def test_no_child_process_inherits_it(self, tmp_path: Path) -> None:
        disk = Disk()
        fd = disk.create(tmp_path / "f")
        assert not os.get_inheritable(fd)
        disk.close(fd)


def test_a_file_in_the_way_of_a_directory_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "d").write_bytes(b"")
    with pytest.raises(FileExistsError):
        Disk().make_directory(tmp_path / "d")


def test_lines_are_appended_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "subscriptions"
    Disk().append_line(path, "Junk")
    Disk().append_line(path, "Two")
    assert path.read_bytes() == b"Junk\nTwo\n"
    assert mode(path) == 0o600


def test_a_file_that_is_not_there_is_removed_already(tmp_path: Path) -> None:
    Disk().unlink(tmp_path / "f")


@pytest.mark.parametrize("mtime", [0.0, 1_700_000_000.123456, -86_400.0, 4_102_444_799.0])
def test_times_are_kept(tmp_path: Path, mtime: float) -> None:
    disk = Disk()
    fd = disk.create(tmp_path / "f")
    disk.set_times(fd, mtime)
    disk.close(fd)
    assert (tmp_path / "f").stat().st_mtime == pytest.approx(mtime, abs=1e-6)


@pytest.mark.parametrize(
    ("number", "problem", "hint"),
    [
        (errno.ENOSPC, "disk is full", "Make room"),
        (errno.EDQUOT, "quota", "Raise it"),
        (errno.EROFS, "read-only", "remount"),
        (errno.EACCES, "Permission is denied", "ls -ld"),
        (errno.EPERM, "not permitted", "ls -ld"),
        (errno.EIO, "input/output error", "dmesg"),
        (errno.ENOENT, "directory is missing", "Mount the disk"),
        (errno.ENOTDIR, "in the way", "Move it away"),
        (errno.EEXIST, "in the way", "Move it away"),
        (errno.EISDIR, "in the way", "Move it away"),
        (errno.EXDEV, "The system refused (Invalid cross-device link)", "Look at the disk"),
    ],
)
def test_each_trouble_has_its_sentence_and_its_remedy(number: int, problem: str, hint: str) -> None:
    trouble = disk_trouble(OSError(number, os.strerror(number)), Path("/mail/anna\n/tmp"))
    assert isinstance(trouble, TryLaterError)
    assert problem in trouble.problem
    assert hint in trouble.hint
    assert "/mail/anna\\n/tmp" in trouble.problem


@pytest.mark.parametrize("below", [".", "new", "new/below"])
def test_a_place_that_is_open_and_what_would_be_in_it(tmp_path: Path, below: str) -> None:
    assert not is_read_only(tmp_path / below)


@pytest.mark.parametrize("below", [".", "new", "new/below"])
def test_a_place_that_is_read_only_and_what_would_be_in_it(read_only: Path, below: str) -> None:
    assert is_read_only(read_only / below)


def test_something_in_the_way_counts_as_what_holds_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not is_read_only(tmp_path / "file/below")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is hidden from root")
def test_a_hidden_place_counts_as_what_hides_it(tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir(mode=0)
    assert not is_read_only(tmp_path / "hidden/below")


@pytest.mark.parametrize(
    ("root", "path", "below"),
    [
        ("/mail/anna", "/mail/anna/tmp/x", "tmp/x"),
        ("/mail/anna", "/mail/anna", "."),
        ("/", "/tmp/x", "tmp/x"),
        ("anna", "anna/new", "new"),
        ("/mail/ü é", "/mail/ü é/.Junk/new/x", ".Junk/new/x"),
    ],
)
def test_what_is_below_a_held_directory_is_named_from_there(
    root: str, path: str, below: str
) -> None:
    assert HeldDirectory(Path(root), 0).below(Path(path)) == below


@pytest.mark.parametrize("path", ["/mail/annabel/new", "/mail", "/mail/bruno/x", "anna/new"])
def test_what_is_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="not below"):
        HeldDirectory(Path("/mail/anna"), 0).below(Path(path))
