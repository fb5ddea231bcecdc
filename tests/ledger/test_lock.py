"""One courier per state directory, whoever else is there and however the holder ends."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postamt_sync.errors import ExitCode, TryLaterError
from postamt_sync.ledger import CourierLock

ROOT = Path(__file__).parents[2]
HOLD = """
import pathlib, sys
from postamt_sync.ledger import CourierLock
with CourierLock(pathlib.Path(sys.argv[1]), "sync"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@contextmanager
def held(state_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


@pytest.mark.slow
def test_another_process_is_kept_out_and_told_who_is_in(tmp_path: Path) -> None:
    with held(tmp_path) as process, pytest.raises(TryLaterError) as caught, courier(tmp_path):
        pass
    assert f"by postamt-sync sync, process {process.pid}, since 2" in caught.value.problem
    assert caught.value.exit_code is ExitCode.TRY_LATER
    assert caught.value.hint


def courier(state_dir: Path) -> CourierLock:
    return CourierLock(state_dir, "run")


def test_two_of_one_process_exclude_each_other_too(tmp_path: Path) -> None:
    with courier(tmp_path), pytest.raises(TryLaterError), courier(tmp_path):
        pass


@pytest.mark.slow
def test_it_is_free_again_after_use(tmp_path: Path) -> None:
    with held(tmp_path):
        pass
    with courier(tmp_path):
        assert "process" in (CourierLock.holder(tmp_path) or "")
    assert CourierLock.holder(tmp_path) is None
    assert (tmp_path / "courier.lock").read_bytes() == b""


@pytest.mark.slow
def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    with held(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert CourierLock.holder(tmp_path) is None
    with courier(tmp_path):
        assert f"process {os.getpid()}," in (CourierLock.holder(tmp_path) or "")


def test_to_ask_for_the_holder_takes_and_breaks_nothing(tmp_path: Path) -> None:
    assert CourierLock.holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with courier(tmp_path):
        for _ in range(3):
            assert CourierLock.holder(tmp_path) is not None
        with pytest.raises(TryLaterError), courier(tmp_path):
            pass
        assert CourierLock.holder(tmp_path) is not None


def test_someone_who_just_asks_does_not_keep_the_courier_out(tmp_path: Path) -> None:
    (tmp_path / "courier.lock").touch()
    with (tmp_path / "courier.lock").open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        letting_go = threading.Timer(0.01, fcntl.flock, (asking, fcntl.LOCK_UN))
        letting_go.start()
        with courier(tmp_path):
            pass
        letting_go.join()


def test_two_may_ask_for_the_holder_at_once(tmp_path: Path) -> None:
    (tmp_path / "courier.lock").touch()
    with (tmp_path / "courier.lock").open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)
        assert CourierLock.holder(tmp_path) is None


def test_what_stands_in_the_file_is_shown_on_one_line(tmp_path: Path) -> None:
    with courier(tmp_path):
        (tmp_path / "courier.lock").write_bytes(b"evil\n\x1b[2J\xff")
        holder = CourierLock.holder(tmp_path)
        assert holder is not None
        assert holder.isprintable()


def test_a_lock_of_which_nothing_is_written_yet_has_a_holder(tmp_path: Path) -> None:
    with courier(tmp_path):
        (tmp_path / "courier.lock").write_bytes(b"")
        assert CourierLock.holder(tmp_path) == "another process"


def test_only_we_may_read_it(tmp_path: Path) -> None:
    with courier(tmp_path):
        assert stat.S_IMODE((tmp_path / "courier.lock").stat().st_mode) == 0o600


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "courier.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(TryLaterError, match="cannot be opened") as caught, courier(tmp_path):
        pass
    assert "remove anything else" in caught.value.hint
    assert CourierLock.holder(tmp_path) is None
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize(
    ("holder", "verb", "instead"),
    [
        ("run", "sync", True),
        ("run", "rebuild", False),
        ("sync", "sync", False),
        ("rundown", "sync", False),
    ],
)
def test_beside_the_daemon_and_nobody_else_sync_says_what_to_do_instead(
    tmp_path: Path, holder: str, verb: str, instead: bool
) -> None:
    with (
        CourierLock(tmp_path, holder),
        pytest.raises(TryLaterError) as caught,
        CourierLock(tmp_path, verb),
    ):
        pass
    assert ("The daemon does this by itself" in caught.value.hint) == instead
    assert ("sudo systemctl restart postamt-sync" in caught.value.hint) == instead
    assert caught.value.hint
