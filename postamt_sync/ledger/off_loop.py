"""Opening the ledger from an event loop, which no disk may hold up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager

from postamt_sync.ledger.ledger import Ledger


@asynccontextmanager
async def opened_off_loop(opening: AbstractContextManager[Ledger]) -> AsyncIterator[Ledger]:
    """Enter and leave `opening` in threads. If the caller is cancelled meanwhile, it is closed.

    Raises what `opening` raises.
    """
    entering = asyncio.ensure_future(asyncio.to_thread(opening.__enter__))
    try:
        ledger = await asyncio.shield(entering)
    except asyncio.CancelledError:
        # A thread cannot be stopped: wait for it, then close what it has opened.
        with contextlib.suppress(Exception):
            await entering
            await asyncio.to_thread(opening.__exit__, None, None, None)
        raise
    try:
        yield ledger
    except BaseException as error:
        if await asyncio.to_thread(opening.__exit__, type(error), error, error.__traceback__):
            return
        raise
    else:
        await asyncio.to_thread(opening.__exit__, None, None, None)
