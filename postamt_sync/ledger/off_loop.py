"""Opening and closing a ledger beside an event loop, which a large or a lost one would block."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager

from postamt_sync.ledger.ledger import Ledger


@asynccontextmanager
async def opened_off_loop(opening: AbstractContextManager[Ledger]) -> AsyncIterator[Ledger]:
    """Enter and leave `opening` in threads; whoever is cancelled meanwhile leaves it closed.

    Raises what `opening` raises.
    """
    entering = asyncio.ensure_future(asyncio.to_thread(opening.__enter__))
    try:
        ledger = await asyncio.shield(entering)
    except asyncio.CancelledError:
        # No thread can be stopped: it is waited for, and what it has opened is closed.
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
