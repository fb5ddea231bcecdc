"""A service that fails is started again, shown while it fails, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest

from postamt_sync.app.supervisor import WELL_AFTER, EssentialServiceError, Service, Supervisor
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.unexpected import first_cause
from tests.doubles.inbox import MemoryLog
from tests.support.new_ledger import new_ledger

pytestmark = pytest.mark.slow


class Panic(BaseException):
    """As what is written in Rust raises it: no Exception, so that `except Exception` misses it."""


ERRORS: list[BaseException] = [
    KeyError("SubscribeResult"),
    RuntimeError("a\nb \x1b[31m"),
    RecursionError("maximum recursion depth exceeded"),
    OSError(5, "Input/output error"),
    ExceptionGroup("two", [ValueError("first"), ExceptionGroup("more", [TypeError("second")])]),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    TimeoutError(),
    MemoryError(),
    StopAsyncIteration(),
]
NO_EXCEPTIONS: list[BaseException] = [
    Panic("index out of bounds"),
    BaseExceptionGroup("two", [Panic("first"), ValueError("second")]),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    asyncio.CancelledError(),
]
"""What libraries raise and `except Exception` lets through."""


@dataclass
class Clock:
    """Time that passes when someone sleeps in a service's pause; naps end by `pass_on`."""

    now: float = 0.0
    naps: list[tuple[float, asyncio.Event]] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self.naps.append((self.now + seconds, woken))
        await woken.wait()

    async def pass_on(self, seconds: float) -> None:
        self.now += seconds
        for at, woken in list(self.naps):
            if at <= self.now:
                self.naps.remove((at, woken))
                woken.set()
        await settle()


class NoThreads(ThreadPoolExecutor):
    """The threads of a process that may have no more."""

    def submit(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("can't start new thread")


class Watched(ThreadPoolExecutor):
    """Threads of which it is known whether they have something to do, however slow the disk is."""

    asked: ClassVar[list[Future[Any]]] = []

    def submit(self, *args: Any, **more: Any) -> Any:
        future = super().submit(*args, **more)
        self.asked.append(future)
        return future


async def settle() -> None:
    """Wait until neither a thread nor the loop has had anything to do for some turns."""
    turns = 0
    while turns < 20:
        turns = turns + 1 if all(future.done() for future in Watched.asked) else 0
        await asyncio.sleep(0.001)
    Watched.asked.clear()


@dataclass
class House:
    ledger: Ledger
    log: MemoryLog = field(default_factory=MemoryLog)
    clock: Clock = field(default_factory=Clock)

    def supervisor(self, *services: Service, essential: frozenset[str] = frozenset()) -> Supervisor:
        asyncio.get_running_loop().set_default_executor(Watched())
        return Supervisor(
            services,
            essential,
            self.ledger.overview,
            Events(self.log),
            clock=lambda: self.clock.now,
            sleep=self.clock.sleep,
        )

    def failures(self) -> list[dict[str, Any]]:
        return [fields for _, event, fields in self.log.said if event == "a service failed"]

    def problems(self) -> dict[str, str | None]:
        return {s.source: s.problem for s in self.ledger.overview.sources()}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    ledger = new_ledger(tmp_path)
    yield House(ledger)
    ledger.close()


def failing(times: int, error: BaseException, starts: list[float], clock: Clock) -> Any:
    async def run() -> None:
        starts.append(clock.now)
        if len(starts) <= times:
            raise error
        await asyncio.Event().wait()

    return run


def forever(running: list[str]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        running.append("begun")
        await asyncio.Event().wait()

    return run


@pytest.mark.slow
@pytest.mark.parametrize("error", [*ERRORS, *NO_EXCEPTIONS], ids=lambda e: type(e).__name__)
async def test_whatever_it_raises_it_starts_again_and_the_others_run_on(
    house: House, error: BaseException
) -> None:
    starts: list[float] = []
    others: list[str] = []
    bad = Service("index", failing(1, error, starts, house.clock))
    async with house.supervisor(bad, Service("alerts", forever(others))):
        await settle()
        (told,) = house.failures()
        assert told["service"] == "index"
        assert told["place"].startswith("tests/app/test_supervisor.py:")
        assert 8 <= told["seconds"] <= 10
        assert told["reason"].isprintable()
        assert "Group" not in told["error"]
        (problem,) = house.problems().values()
        assert told["error"] in (problem or "")
        await house.clock.pass_on(10)
        assert len(starts) == 2
        assert others == ["begun"]


async def test_status_shows_it_until_it_has_run_well_for_a_while(house: House) -> None:
    starts: list[float] = []
    bad = Service("alerts", failing(2, KeyError("x"), starts, house.clock))
    async with house.supervisor(bad):
        await settle()
        await house.clock.pass_on(10)
        assert set(house.problems()) == {"alerts service"}
        await house.clock.pass_on(20)
        assert len(starts) == 3
        assert house.problems()
        await house.clock.pass_on(WELL_AFTER)
        assert not house.problems()


@pytest.mark.slow
async def test_pauses_grow_and_start_over_after_it_ran_well(house: House) -> None:
    ended = asyncio.Event()
    starts: list[float] = []

    async def run() -> None:
        starts.append(house.clock.now)
        if len(starts) == 5:
            await ended.wait()
        raise KeyError("x")

    async with house.supervisor(Service("poll", run)):
        for _ in range(4):
            await settle()
            await house.clock.pass_on(200)
        pauses = [told["seconds"] for told in house.failures()]
        assert pauses == sorted(pauses)
        assert pauses[0] <= 10 < pauses[1] <= 20 < pauses[2] <= 40 < pauses[3]
        await house.clock.pass_on(WELL_AFTER)
        ended.set()
        await settle()
        assert house.failures()[-1]["seconds"] <= 10


async def test_what_an_earlier_process_noted_is_forgotten(house: House) -> None:
    house.ledger.overview.source_bad("poll service", "Unexpected error")
    async with house.supervisor(Service("poll", forever([]))):
        assert not house.problems()


@pytest.mark.parametrize("error", NO_EXCEPTIONS, ids=lambda e: type(e).__name__)
async def test_whatever_closing_one_raises_the_others_are_closed(
    house: House, error: BaseException
) -> None:
    closed: list[str] = []

    async def fail() -> None:
        raise error

    async def close() -> None:
        closed.append("closed")

    async with house.supervisor(
        Service("alerts", forever([]), close), Service("queue", forever([]), fail)
    ):
        await settle()
    assert closed == ["closed"]
    assert [told["service"] for told in house.failures()] == ["queue"]


async def test_one_whose_failure_cannot_be_noted_starts_again(house: House) -> None:
    """As where no thread is left that would write it."""
    starts: list[float] = []
    bad = Service("index", failing(2, KeyError("x"), starts, house.clock))
    async with house.supervisor(bad):
        await settle()
        asyncio.get_running_loop().set_default_executor(NoThreads())
        await house.clock.pass_on(10)
        await house.clock.pass_on(20)
        assert len(starts) == 3


@pytest.mark.parametrize("name", ["courier", "ledger"])
@pytest.mark.parametrize(
    "error", [KeyError("x"), OSError(5, "I/O error"), MemoryError(), *NO_EXCEPTIONS]
)
async def test_courier_and_ledger_end_it_with_a_sentence(
    house: House, name: str, error: BaseException
) -> None:
    async def fail() -> None:
        raise error

    closed: list[str] = []

    async def close() -> None:
        closed.append("closed")

    others = [Service("heartbeat", forever([]), close)]
    bad = [] if name == "ledger" else [Service(name, fail)]
    essential = frozenset({"courier"})
    supervisor = house.supervisor(*others, *bad, essential=essential)

    async def run() -> None:
        async with supervisor:
            work = fail() if name == "ledger" else asyncio.sleep(60)
            await supervisor.unless_failed(work, "ledger")

    with pytest.raises(EssentialServiceError) as raised:
        await run()
    assert raised.value.problem.startswith(f"The {name} failed: ")
    assert type(first_cause(error)).__name__ in raised.value.problem
    assert closed == ["closed"]


async def test_the_last_is_closed_first_and_a_close_that_fails_holds_up_no_other(
    house: House,
) -> None:
    closed: list[str] = []

    def closing(name: str) -> Callable[[], Awaitable[None]]:
        async def close() -> None:
            closed.append(name)
            if name == "b":
                raise KeyError("x")

        return close

    async with house.supervisor(*(Service(n, forever([]), closing(n)) for n in "abc")):
        await settle()
    assert closed == ["c", "b", "a"]
    assert house.failures()[0]["seconds"] is None
