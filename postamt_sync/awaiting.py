"""Awaiting what is not asyncio's own: a call that blocks, work that may raise anything.

It stands apart so that what only reads the ledger starts without asyncio.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from postamt_sync.unexpected import as_exception

_T = TypeVar("_T")


async def contained(work: Awaitable[_T]) -> _T:
    """Await `work`; all it raises is an Exception, unless this task itself is to end.

    A cancellation that nobody asked for, which a library may raise, is an error like any other.
    """
    task = asyncio.current_task()
    try:
        return await work
    except Exception:
        raise
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        if isinstance(error, GeneratorExit) and _current_task() is not task:
            raise  # the loop is gone, and what waited in it is being cleared away
        raise as_exception(error) from error


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


def _current_task() -> asyncio.Task[object] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs
        return None
