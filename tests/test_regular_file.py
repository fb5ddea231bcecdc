"""What lies where a small file should be is read or refused, and never waited for."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from postamt_sync.alerts.conditions import expiry
from postamt_sync.app.file_watcher import _fingerprint
from postamt_sync.config import load
from postamt_sync.errors import MisconfiguredError
from postamt_sync.http.sockets import tls_context
from postamt_sync.regular_file import read_small


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


PLANTS: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "socket": _socket,
    "directory": Path.mkdir,
    "sparse file": _sparse,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to a terminal": lambda path: path.symlink_to("/dev/tty"),
    "link to itself": lambda path: path.symlink_to(path),
    "link to nothing": lambda path: path.symlink_to(path.with_name("nothing")),
    "nothing": lambda _: None,
}


@pytest.fixture(params=PLANTS)
def planted(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "f"
    PLANTS[request.param](path)
    return path


def test_is_refused(planted: Path) -> None:
    with pytest.raises(OSError, match="f"):
        read_small(planted, links=True)


def test_as_a_certificate_or_a_key_it_is_named(planted: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.pem"
    good.write_bytes(b"")
    for pair in ((planted, good), (good, planted)):
        with pytest.raises(MisconfiguredError, match=r"cannot be (read|used)"):
            tls_context(*pair)
    assert expiry(planted, now=0.0) is None


def test_as_the_configuration_it_is_named(planted: Path) -> None:
    with pytest.raises(MisconfiguredError):
        load(planted, {})


def test_it_has_a_fingerprint_by_which_a_change_shows(planted: Path) -> None:
    before = _fingerprint(planted)
    assert before
    assert _fingerprint(planted) == before


def test_a_file_is_read_through_links(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_small(tmp_path / "link", links=True) == b"content"
    assert read_small(tmp_path / "link", 7, links=True) == b"content"
    with pytest.raises(OSError, match="too large"):
        read_small(tmp_path / "link", 6, links=True)


def test_a_configuration_may_come_from_another_program(tmp_path: Path) -> None:
    """As with a shell's `<(...)`: whoever writes may take his time."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    slow = f"import time; f = open({str(pipe)!r}, 'w'); time.sleep(0.2); f.write('x = 1')"
    with subprocess.Popen([sys.executable, "-c", slow]):
        descriptor = os.open(pipe, os.O_RDONLY)  # as the shell: both ends are open by then
        assert read_small(Path(f"/proc/self/fd/{descriptor}"), links=True, pipes=True) == b"x = 1"
        os.close(descriptor)
