"""Errors that nobody expected, told in one sentence."""

from __future__ import annotations

import asyncio

import pytest

from postamt_sync.errors import TryLaterError
from postamt_sync.unexpected import as_exception, as_trouble


class Panic(BaseException):
    """As what is written in Rust raises it."""


NO_EXCEPTIONS = [Panic("x"), SystemExit(1), GeneratorExit(), asyncio.CancelledError("by nobody")]


@pytest.mark.parametrize("error", [*NO_EXCEPTIONS, StopIteration(3)], ids=repr)
async def test_a_future_holds_it_as_an_exception(error: BaseException) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_exception(as_exception(error))
    with pytest.raises(RuntimeError, match=type(error).__name__):
        await future


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
