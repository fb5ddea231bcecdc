"""What is done about a ledger that was taken away from a running daemon."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from postamt_sync.app.ledger_guard import until_lost
from postamt_sync.events import Events
from postamt_sync.ledger import Ledger
from tests.doubles.inbox import MemoryLog

LOOKS = 200
"""Turns of the event loop, of which the first few suffice to try once."""


@pytest.mark.slow
async def test_what_cannot_be_saved_is_tried_again_after_a_pause(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ledger = Ledger.open(state)
    shutil.rmtree(state)
    state.write_text("in the way of the directory")
    log = MemoryLog()
    guard = asyncio.create_task(until_lost(ledger, Events(log)))

    def tries() -> int:
        return sum(
            event == "the open ledger cannot be saved, will try again" for _, event, _ in log.said
        )

    while not tries():
        await asyncio.sleep(0.01)
    for _ in range(LOOKS):
        await asyncio.sleep(0.005)
    assert tries() == 1, "the next try comes after a pause of seconds"
    guard.cancel()
    state.unlink()
    ledger.close()
