"""What is awaited raises exceptions only, and holds up no loop."""

from __future__ import annotations

import asyncio

import pytest

from postamt_sync.awaiting import contained, in_own_thread
from postamt_sync.unexpected import description
from tests.test_unexpected import NO_EXCEPTIONS, Panic


async def failing(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [KeyError("x"), ExceptionGroup("x", [OSError(5, "y")])])
async def test_an_exception_passes_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        await contained(failing(error))
    assert raised.value is error


@pytest.mark.parametrize("error", NO_EXCEPTIONS, ids=lambda e: type(e).__name__)
async def test_what_is_no_exception_is_raised_as_one_that_names_it(error: BaseException) -> None:
    with pytest.raises(RuntimeError, match=f"^{type(error).__name__}") as raised:
        await contained(failing(error))
    assert "tests/test_awaiting.py:" in description(raised.value)


@pytest.mark.parametrize("error", [Panic("x"), SystemExit(1), StopIteration()], ids=repr)
async def test_whatever_a_thread_raises_reaches_who_awaits_it(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(RuntimeError, match=type(error).__name__):
        await in_own_thread(fail, seconds=30)


async def test_whoever_is_cancelled_ends() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(contained(work()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_time_limit_around_it_holds() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await contained(asyncio.Event().wait())


def test_what_waits_when_its_loop_ends_is_cleared_away() -> None:
    """Python closes such coroutines with GeneratorExit, which must pass."""

    async def begin() -> asyncio.Task[bool]:
        task = asyncio.create_task(contained(asyncio.Event().wait()))
        await asyncio.sleep(0)
        return task

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(begin())
    loop.close()
    coroutine = task.get_coro()
    assert coroutine is not None
    coroutine.close()  # raises RuntimeError where that is not let through
