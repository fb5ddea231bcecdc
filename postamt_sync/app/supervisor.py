"""The services of a daemon: one that fails is started again, and the others go on.

A service handles what it expects by itself. What it raises all the same is unexpected, whatever its
type: it is logged with its place, shown by `status` until the service has run well for a while, and
the service starts again after a pause that grows. Only essential services may end the daemon.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from postamt_sync.awaiting import contained
from postamt_sync.backoff import growing_pause
from postamt_sync.events import Events, printable
from postamt_sync.ledger.overview import Overview
from postamt_sync.ledger.source_notes import SourceNotes
from postamt_sync.unexpected import UnexpectedError, description, first_cause, place

LONGEST_PAUSE = 900.0
WELL_AFTER = 30.0
"""Seconds of running after which a service counts as well again."""

_T = TypeVar("_T")


async def nothing() -> None:
    """For services that only run, or only leave something to close."""


@dataclass(frozen=True, slots=True)
class Service:
    """A part of the daemon that works by itself; `name` is what log and `status` call it.

    `run` works until cancelled, or until nothing is left to do. It handles what it expects to go
    wrong, and is called again after it raised anything else. `close` lets go of what outlives
    `run`: it is called once, before `run` is cancelled.
    """

    name: str
    run: Callable[[], Awaitable[None]] = nothing
    close: Callable[[], Awaitable[None]] = nothing


class EssentialServiceError(UnexpectedError):
    """A service failed without which the daemon cannot go on."""


class Supervisor:
    """Runs services while its block lasts; then closes and ends them, the last one first."""

    def __init__(
        self,
        services: Sequence[Service],
        essential: Collection[str],
        overview: Overview,
        events: Events,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`essential` names those whose failure is that of the daemon."""
        self._services = services
        self._essential = essential
        self._overview = overview
        self._events = events
        self._clock = clock
        self._sleep = sleep
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._fatal: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        for service in self._services:
            await self._note(service, "")  # of an earlier process
            self._tasks[service.name] = asyncio.create_task(self._keep(service), name=service.name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._fatal.cancel()
        for service in reversed(self._services):
            try:
                await contained(service.close())
            except Exception as trouble:  # noqa: BLE001  the others are to be closed too
                self._events.service_failed(service.name, *_told(trouble), None)
            task = self._tasks[service.name]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def unless_failed(self, work: Coroutine[Any, Any, _T], name: str) -> _T:
        """Await `work`, which is essential too and has this name.

        Raises EssentialServiceError if it, or an essential service, fails.
        """
        task = asyncio.create_task(contained(work), name=name)
        try:
            either: list[asyncio.Future[Any]] = [task, self._fatal]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                try:
                    return task.result()
                except Exception as error:  # noqa: BLE001  told as that of any service
                    self._end(name, error)
            self._fatal.result()
            raise AssertionError("ended without a reason")
        finally:
            task.cancel()

    async def _keep(self, service: Service) -> None:
        failures = 0
        while True:
            begun = self._clock()
            well = asyncio.create_task(self._note_well(service)) if failures else None
            try:
                await contained(service.run())
            except Exception as error:  # noqa: BLE001  whatever it is, the others go on
                if service.name in self._essential:
                    self._end(service.name, error)
                    return
                if self._clock() - begun >= WELL_AFTER:
                    failures = 0
                pause = growing_pause(failures, longest=LONGEST_PAUSE)
                failures += 1
                self._events.service_failed(service.name, *_told(error), pause)
                await self._note(service, f"Unexpected error: {description(error)}.")
            else:
                await self._note(service, "")
                return
            finally:
                if well is not None:
                    well.cancel()
            await self._sleep(pause)

    def _end(self, name: str, error: Exception) -> None:
        self._events.service_failed(name, *_told(error), None)
        if self._fatal.done():
            return
        self._fatal.set_exception(
            EssentialServiceError(
                f"The {name} failed: {description(error)}.",
                "Nothing is lost: the next start goes on from the ledger. Please report this.",
            )
        )

    async def _note_well(self, service: Service) -> None:
        await self._sleep(WELL_AFTER)
        await self._note(service, "")
        self._events.service_well(service.name)

    async def _note(self, service: Service, problem: str) -> None:
        notes = SourceNotes(self._overview, self._events, f"{service.name} service")
        try:
            await contained(notes.bad(problem) if problem else notes.forget())
        except Exception as error:  # noqa: BLE001  the service is to start again all the same
            self._events.ledger_not_written(description(error))


def _told(error: Exception) -> tuple[str, str, str]:
    cause = first_cause(error)
    return type(cause).__name__, place(error), printable(str(cause))
