"""Questions to a disk that may never answer."""

from __future__ import annotations

import threading

import pytest

from postamt_sync.threads import ask_disk


def test_what_a_disk_answers() -> None:
    assert ask_disk(lambda: 7, 0) == 7


def test_one_that_hangs_is_left_behind() -> None:
    gate = threading.Event()
    assert ask_disk(gate.wait, "no answer", seconds=0.01) == "no answer"
    gate.set()


@pytest.mark.parametrize("error", [OSError("broken"), TimeoutError("the call's own")])
def test_what_it_raises_is_raised(error: Exception) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        ask_disk(fail, None)


class Panic(BaseException):
    """As what is written in Rust raises it."""


@pytest.mark.parametrize("error", [Panic("x"), SystemExit(1), StopIteration()], ids=repr)
def test_whatever_a_thread_raises_reaches_who_waits_for_it(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        ask_disk(fail, None, seconds=30)
