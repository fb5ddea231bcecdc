"""Killed in the middle of a burst of announcements: what was answered 200 is in the ledger."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import ANNA, Home, Running
from tests.end_to_end.webhooks import Reachable, reachable
from tests.faults.forked import fork

BURST = 300
AT_ONCE = 40


@pytest.fixture
async def household(tmp_path: Path, s3: S3Double) -> AsyncIterator[Reachable]:
    async with reachable(tmp_path, s3.environment()) as home:
        yield home


def known(home: Home) -> set[str]:
    """Return the keys that the ledger holds, whoever has it open."""
    db = sqlite3.connect(home.state / "ledger.sqlite3")
    try:
        return {key for (key,) in db.execute("SELECT key FROM objects")}
    finally:
        db.close()


def key(number: int) -> str:
    return f"incoming/{number:05}"


async def listening(home: Reachable) -> Running:
    """Start the daemon; it has looked into the empty bucket, so only announcements fill it."""
    daemon = await asyncio.to_thread(fork, home, "run", "--debug")
    await asyncio.to_thread(daemon.until, "looked", source="reconcile")
    return daemon


@pytest.mark.parametrize("after", [1, BURST // 3, BURST * 2 // 3])
async def test_what_was_answered_200_survives(
    household: Reachable, s3: S3Double, after: int
) -> None:
    daemon = await listening(household)
    notifications = [household.notification(key(number), ANNA) for number in range(BURST)]
    gate = asyncio.Semaphore(AT_ONCE)
    answered: set[str] = set()

    async def announce(session: aiohttp.ClientSession, number: int) -> None:
        async with gate:
            try:
                status = await household.post(session, notifications[number])
            except aiohttp.ClientError:
                return
        assert status == 200
        answered.add(key(number))
        if len(answered) == after:
            daemon.process.kill()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(announce(session, number) for number in range(BURST)))
    await asyncio.to_thread(daemon.ended)
    assert len(answered) >= after
    assert answered <= known(household)

    for number in range(BURST):
        s3.put(key(number), f"Subject: {number}\r\n\r\n".encode())
    again = await asyncio.to_thread(fork, household, "sync")
    assert await asyncio.to_thread(again.ended) == 0, again.tail()
    assert household.contents() == dict.fromkeys(
        (("anna", f"Subject: {number}\r\n\r\n".encode()) for number in range(BURST)), 1
    )


async def test_while_the_ledger_cannot_take_it_nothing_is_answered(household: Reachable) -> None:
    daemon = await listening(household)
    other = sqlite3.connect(household.state / "ledger.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with aiohttp.ClientSession() as session:
        posted = asyncio.create_task(household.post(session, household.notification(key(1), ANNA)))
        # Later requests are answered meanwhile: the first one waits for the ledger alone.
        for _ in range(20):
            async with session.get(f"http://127.0.0.1:{household.port}/healthz") as answer:
                assert answer.status == 200
        assert not posted.done()
        daemon.process.kill()
        with pytest.raises(aiohttp.ClientError):
            await posted
    await asyncio.to_thread(daemon.ended)
    other.close()
    assert known(household) == set()
