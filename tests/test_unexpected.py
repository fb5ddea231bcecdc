"""Errors that nobody expected: contained where they were raised, and told in one sentence."""

from __future__ import annotations

import asyncio

import pytest

from postamt_sync.errors import TryLaterError
from postamt_sync.unexpected import as_exception, as_trouble, contained, description


class Panic(BaseException):
    """As what is written in Rust raises it."""


NO_EXCEPTIONS = [Panic("x"), SystemExit(1), GeneratorExit(), asyncio.CancelledError("by nobody")]


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
    assert "tests/test_unexpected.py:" in description(raised.value)


@pytest.mark.parametrize("error", [*NO_EXCEPTIONS, StopIteration(3)], ids=repr)
async def test_a_future_holds_it_as_an_exception(error: BaseException) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(as_exception(error))
    with pytest.raises(RuntimeError, match=type(error).__name__):
        await future


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


@pytest.mark.parametrize("error", [MemoryError(), RecursionError("deep"), KeyError("x")])
def test_a_person_reads_kind_and_place(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        raise error
    said = as_trouble(raised.value).problem
    assert said.startswith(f"Unexpected error: {type(error).__name__}")
    assert "tests/test_unexpected.py:" in said


def test_what_is_an_error_with_a_remedy_stays_it() -> None:
    error = TryLaterError("It is dark.", "Wait for the morning.")
    assert as_trouble(error) is error
