"""The ledger of a running daemon: watched while it is in use, and opened again once it was lost.

Until it is in its place again every transaction raises, so the webhook answers 503, what the queues
hold stays there, and the courier waits. Then everything stops and starts again within the
process, since without systemd nobody would start another.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from postamt_sync.app.sd_notify import Systemd
from postamt_sync.backoff import growing_pause
from postamt_sync.config import Settings
from postamt_sync.errors import PostamtError, TryLaterError
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from postamt_sync.recovery.open_ledger import open_for_delivery, save_if_lost

LOOK_EVERY = 0.5
"""Seconds between checks of a ledger that is lost, or of whose files nobody tells us."""
MAY_RETURN_WITHIN = 10.0
"""Seconds that a state directory has to be moved back, while nothing in it is lost."""
LONGEST_PAUSE = 60.0

_T = TypeVar("_T")


async def _now_and_then() -> None:
    await asyncio.sleep(LOOK_EVERY)


async def until_lost(
    ledger: Ledger,
    events: Events,
    within: float = MAY_RETURN_WITHIN,
    touched: Callable[[], Awaitable[None]] = _now_and_then,
) -> str:
    """Return once the ledger was lost and what was open is saved: it is to be opened again.

    Says what has happened to it. `touched` waits until that may be (`LedgerWatch`). It need not
    hurry: every transaction looks for itself, so nothing is confirmed that a lost file has alone.
    """
    failures = 0
    while True:
        if not (problem := await asyncio.to_thread(ledger.store.problem)):
            await touched()
            continue
        if not failures:
            events.ledger_lost(problem)
            pause = within
        if await _returns(ledger, pause):
            events.ledger_returned()
            failures = 0
            continue
        try:
            await asyncio.to_thread(save_if_lost, ledger, events)
        except TryLaterError as error:
            events.ledger_not_saved(str(error), final=False)
            pause = growing_pause(failures, longest=LONGEST_PAUSE)
            failures += 1
            if not await asyncio.to_thread(lambda: ledger.store.may_return):
                await asyncio.sleep(pause)
        else:
            return problem


async def _returns(ledger: Ledger, seconds: float) -> bool:
    """Wait so long for what has only been moved away; tell whether it is back."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while await asyncio.to_thread(lambda: ledger.store.may_return):
        if not await asyncio.to_thread(ledger.store.problem):
            return True
        if loop.time() >= end:
            return False
        await asyncio.sleep(LOOK_EVERY)
    return False


@contextlib.asynccontextmanager
async def opened(
    settings: Settings, events: Events, systemd: Systemd, stop: asyncio.Event, *, lost: str
) -> AsyncIterator[Ledger | None]:
    """The ledger for delivery, as `open_for_delivery`; None once `stop` is set.

    With `lost`, which says what has happened to the one before, it is tried until it succeeds:
    another process may hold the lock, a disk may be full.
    """
    failures = 0
    while True:
        holding = open_for_delivery(settings, "run", events, lost)
        try:
            ledger = await _while_alive(asyncio.to_thread(holding.__enter__), systemd)
        except PostamtError as error:
            if not lost:
                raise
            pause = growing_pause(failures, longest=LONGEST_PAUSE)
            failures += 1
            events.ledger_unusable(str(error), pause)
            with contextlib.suppress(TimeoutError):
                await _while_alive(asyncio.wait_for(stop.wait(), pause), systemd)
        else:
            break
        if stop.is_set():
            yield None
            return
    with contextlib.ExitStack() as stack:
        stack.push(holding)
        yield ledger


async def _while_alive(work: Coroutine[Any, Any, _T], systemd: Systemd) -> _T:
    """Await something that may take long, while systemd sees that the event loop runs."""

    async def give_signs(interval: float) -> None:
        while True:
            systemd.alive()
            await asyncio.sleep(interval)

    interval = systemd.watchdog_interval
    signs = asyncio.create_task(give_signs(interval)) if interval is not None else None
    try:
        return await work
    finally:
        if signs is not None:
            signs.cancel()
