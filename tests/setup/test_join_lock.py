from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from postamt_sync.errors import MisconfiguredError, TryLaterError
from postamt_sync.setup.join_lock import ATTEMPTS, join_lock


def test_two_joins_do_not_work_at_once_and_one_after_the_other_do(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    pauses: list[float] = []
    waiting = pytest.raises(TryLaterError, match="Another join")
    with join_lock(lock), waiting, join_lock(lock, sleep=pauses.append):
        pass
    assert len(pauses) == ATTEMPTS
    with join_lock(lock):
        assert lock.stat().st_mode & 0o777 == 0o600


def test_one_that_is_just_ending_is_waited_for_and_told_of_once(tmp_path: Path) -> None:
    lock, said = tmp_path / "lock", []
    first = ExitStack()
    first.enter_context(join_lock(lock))
    with join_lock(lock, waiting=lambda: said.append("told"), sleep=lambda _: first.close()):
        assert said == ["told"]


def test_one_that_was_killed_keeps_nobody_out_nor_does_what_it_has_started(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with join_lock(lock):
        apt = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        with join_lock(lock):
            pass
    finally:
        apt.communicate(b"\n")


def test_a_lock_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MisconfiguredError), join_lock(tmp_path / "lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()
