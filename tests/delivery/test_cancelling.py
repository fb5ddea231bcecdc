"""Stopping a courier at any moment leaves nothing half done and nothing unaccounted for."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from tests.delivery.home import Home

BIG = b"S: big\r\n\r\n" + b"x" * 400_000


def announce(home: Home, start: int) -> None:
    for number in range(start, start + 4):
        body = b"S: %d\r\n\r\n" % number + (BIG if number % 2 else b"")
        home.bucket.put(f"k{number}", body)
        home.announce(f"k{number}", "anna", "bruno")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_at_random_moments(home: Home, seed: int) -> None:
    moments = random.Random(seed)
    home.bucket.chunk = 50_000
    for attempt in range(15):
        announce(home, 4 * attempt)
        home.ledger.work.make_all_due()
        running = asyncio.create_task(home.courier().run(until_idle=True))
        for _ in range(moments.randrange(60)):
            await asyncio.sleep(0)
        await asyncio.sleep(moments.choice([0, 0.001, 0.005, 0.02]))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert home.drafts("anna") == home.drafts("bruno") == []
        assert home.disk.open_files == []
    await home.deliver()
    expected = Counter(stored.body for stored in home.bucket.objects.values())
    assert Counter(home.bodies("anna")) == Counter(home.bodies("bruno")) == expected
    assert home.log.events("error") == []


async def test_while_a_file_is_being_synced(home: Home) -> None:
    """The thread that has the file is waited for: what it wrote is not left behind."""
    loop, syncing = asyncio.get_running_loop(), asyncio.Event()
    home.disk.break_("sync", 0, first=lambda: loop.call_soon_threadsafe(syncing.set))
    announce(home, 0)
    running = asyncio.create_task(home.courier().run())
    await syncing.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert home.drafts("anna") == home.drafts("bruno") == []
    assert home.disk.open_files == []


async def test_what_is_written_is_still_published(home: Home) -> None:
    loop, renaming = asyncio.get_running_loop(), asyncio.Event()
    home.disk.break_("rename", 0, first=lambda: loop.call_soon_threadsafe(renaming.set))
    announce(home, 0)
    running = asyncio.create_task(home.courier().run())
    await renaming.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert home.drafts("anna") == home.drafts("bruno") == []
    delivered = [k for k in home.bucket.objects if home.state(k) == "delivered"]
    assert delivered
    assert len(delivered) == len(home.mails("anna")) == len(home.mails("bruno"))
