from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postamt_sync.errors import TryLaterError
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.off_loop import opened_off_loop


class Opening:
    """A ledger that opens when it is let, and tells what became of it."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.begun = threading.Event()
        self.go = threading.Event()
        self.said: list[str] = []

    @contextmanager
    def __call__(self) -> Iterator[Ledger]:
        self.begun.set()
        self.go.wait(60)
        ledger = Ledger.open(self.state_dir)
        self.said.append("opened")
        try:
            yield ledger
        except ValueError:
            self.said.append("failed")
            raise
        finally:
            assert threading.current_thread() is not threading.main_thread()
            ledger.close()
            self.said.append("closed")


async def test_the_loop_turns_while_it_opens(tmp_path: Path) -> None:
    opening = Opening(tmp_path)

    async def use() -> int:
        async with opened_off_loop(opening()) as ledger:
            return await asyncio.to_thread(ledger.work.make_all_due)

    using = asyncio.create_task(use())
    await asyncio.to_thread(opening.begun.wait, 60)
    opening.go.set()  # said by the loop, which is free
    assert await using == 0
    assert opening.said == ["opened", "closed"]


async def test_who_is_cancelled_while_it_opens_leaves_it_closed(tmp_path: Path) -> None:
    opening = Opening(tmp_path)

    async def use() -> None:
        async with opened_off_loop(opening()):
            opening.said.append("used")

    using = asyncio.create_task(use())
    await asyncio.to_thread(opening.begun.wait, 60)
    using.cancel()
    await asyncio.sleep(0)
    opening.go.set()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert opening.said == ["opened", "closed"]


async def test_what_fails_within_is_told_to_it_and_raised(tmp_path: Path) -> None:
    opening = Opening(tmp_path)
    opening.go.set()
    with pytest.raises(ValueError, match="no"):
        async with opened_off_loop(opening()):
            raise ValueError("no")
    assert opening.said == ["opened", "failed", "closed"]


async def test_what_keeps_it_from_opening_is_raised(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    opening = Opening(tmp_path / "file" / "state")
    opening.go.set()
    with pytest.raises(TryLaterError, match="cannot be made"):
        async with opened_off_loop(opening()):
            pass
