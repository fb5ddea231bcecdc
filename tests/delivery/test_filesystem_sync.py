"""The system call itself, on the machine that the tests run on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from postamt_sync.atomic_file import sync_filesystem
from postamt_sync.delivery.disk import Disk
from postamt_sync.delivery.filesystem_sync import (
    KINDS,
    MANY,
    MOST_DIRTY,
    OpenDirectory,
    can_sync_whole,
    dirty,
)


def opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def test_a_directory_names_its_file_system(tmp_path: Path) -> None:
    fd = opened(tmp_path)
    try:
        (tmp_path / "a").write_bytes(b"x")
        sync_filesystem(fd)
    finally:
        os.close(fd)


def test_a_descriptor_that_is_none_is_told() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        sync_filesystem(-1)


@pytest.mark.parametrize("place", ["/proc", "/dev"])
def test_what_is_no_disk_is_never_synced_as_a_whole(place: str) -> None:
    fd = opened(Path(place))
    try:
        assert not can_sync_whole(fd)
    finally:
        os.close(fd)


def test_a_few_files_are_synced_each(tmp_path: Path) -> None:
    assert Disk().watch_filesystem(tmp_path, MANY - 1) is None


def test_a_watch_lets_go_when_nobody_knows_it(tmp_path: Path) -> None:
    watch = OpenDirectory(tmp_path)
    watch.sync()
    fd = watch.fd
    del watch
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(fd)


def test_what_failed_once_stays_failed(tmp_path: Path) -> None:
    """The system tells a descriptor once; files written before that may be asked about later."""
    calls: list[int] = []

    def fail_once(fd: int) -> None:
        calls.append(fd)
        if len(calls) == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    watch = OpenDirectory(tmp_path, fail_once)
    for _ in range(3):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)) as raised:
            watch.sync()
        assert raised.value.errno == errno.EIO
    assert calls == [watch.fd]


def test_of_no_directory_there_is_no_watch(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Disk().watch_filesystem(tmp_path / "missing", MANY)


def test_no_file_system_of_a_network_or_of_a_program_is_trusted() -> None:
    assert not KINDS & {"nfs", "nfs4", "cifs", "fuse", "fuseblk", "fuse.sshfs", "9p", "overlay"}


WHOLE = "MemTotal: 8 kB\nDirty:     21020 kB\nWriteback:       52 kB\nWritebackTmp: 7 kB\n"
NODE = "Node {0} MemTotal:  8 kB\nNode {0} Dirty:  {1} kB\nNode {0} Writeback:   2 kB\n"


def test_what_others_have_written_is_read_from_either_place(tmp_path: Path) -> None:
    """Where a unit has ProcSubset=pid, /proc/meminfo is not there."""
    memory, nodes = tmp_path / "meminfo", tmp_path / "node"
    assert dirty(memory, nodes) == float("inf")
    for number in (0, 1):
        (nodes / f"node{number}").mkdir(parents=True)
        (nodes / f"node{number}/meminfo").write_text(NODE.format(number, 1000))
    assert dirty(memory, nodes) == 2004 * 1024
    memory.write_text(WHOLE)
    assert dirty(memory, nodes) == 21072 * 1024
    memory.write_text("MemTotal: 8 kB\n")
    assert dirty(memory, nodes) == 2004 * 1024


def test_where_nobody_says_how_much_it_is_nothing_is_synced_as_a_whole(tmp_path: Path) -> None:
    assert dirty(tmp_path / "missing", tmp_path) > MOST_DIRTY
