"""An unexpected error at any step: no mail is taken for done, and all goes on afterwards."""

from __future__ import annotations

import asyncio

import pytest

from postamt_sync.delivery.fetcher import SMALL as LARGEST_SMALL
from tests.delivery.home import Home

SMALL = b"Subject: x\r\n\r\nmail\r\n"
LARGE = SMALL + b"x" * LARGEST_SMALL


def bug() -> None:
    raise RuntimeError("unexpected")


@pytest.mark.parametrize("call", ["create", "write", "sync", "sync_directory", "rename"])
@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
async def test_it_is_postponed_and_delivered_in_the_end(home: Home, body: bytes, call: str) -> None:
    for name in home.people:
        home.mailboxes.ready(name)
    home.bucket.put("k", body)
    home.announce("k", "anna", "bruno")
    home.disk.break_(call, 0, first=bug, below=home.root("anna"), times=1)
    async with asyncio.timeout(60):  # against a pass that tries forever
        await home.deliver()
    assert "unexpected" in home.problem("k")
    assert "will try again" in home.log.events()
    home.disk.mend()
    for _ in range(2):
        await home.deliver()
    assert home.bodies("anna") == home.bodies("bruno") == [body]
    assert home.drafts("anna") == home.drafts("bruno") == []
    assert home.state("k") == "delivered"
