"""Blocking calls for which nobody has to wait to the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
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


async def in_own_thread(call: Callable[[], _T], seconds: float | None = None) -> _T:
    """Wait for a call in a thread of its own; cancelled, or after `seconds`, leave it behind.

    asyncio's own threads are waited for at the end of the loop. This one is not: the process ends
    without it, so its call must be one that may be cut off anywhere. Raises TimeoutError when its
    time is up: a library's own limit starts over with each byte of an answer that never ends.
    """
    async with asyncio.timeout(seconds):
        return await _in_own_thread(call)


async def _in_own_thread(call: Callable[[], _T]) -> _T:
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def end(result: _T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def work() -> None:
        result, trouble = None, None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001  raised where the result is awaited
            trouble = as_exception(error)
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(end, result, trouble)

    threading.Thread(target=work, name="own thread", daemon=True).start()
    return await future
