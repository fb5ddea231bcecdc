"""Blocking calls for which nobody has to wait to the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from postamt_sync.unexpected import as_exception

_T = TypeVar("_T")


class LateCallError(TimeoutError):
    """The time of a call is up, and it goes on alone; its own TimeoutError is none."""


def ask_disk(call: Callable[[], _T], otherwise: _T, seconds: float = 2.0) -> _T:
    """Return what a call says of a disk, or `otherwise` where that hangs. Blocking.

    A file system over a network may never answer; the thread that asked it is left behind.
    """
    try:
        return call_within(seconds, call, "question to a disk")
    except LateCallError:
        return otherwise


def call_within(seconds: float, call: Callable[[], _T], name: str = "call with a limit") -> _T:
    """Return what a call returns, in a thread of this name. Blocking; LateCallError if it is late.

    A library's own limit starts over with each byte of an answer that never ends.
    """
    answer = _begun(call, name)
    try:
        return answer.result(seconds)
    except TimeoutError:
        if answer.done():  # the call's own
            raise
        raise LateCallError(f"there was no whole answer within {seconds:g} s") from None


def _begun(call: Callable[[], _T], name: str) -> Future[_T]:
    """Begin a call in a thread that nobody waits for."""
    answer: Future[_T] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001  raised where the result is waited for
            answer.set_exception(as_exception(error))

    threading.Thread(target=work, name=name, daemon=True).start()
    return answer
