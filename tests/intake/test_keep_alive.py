"""Whose connection stays open after an answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from postamt_sync.errors import TryLaterError
from tests.doubles.sns import body, receipt
from tests.doubles.webhook import PATH, webhook_at_home


async def closes(home, method, path, data=b""):
    """Return the status of an answer, and whether it was its connection's last."""
    reader, writer = await asyncio.open_connection(home.host, home.port)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    try:
        writer.write(head.encode() + data)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        with suppress(TimeoutError):
            async with asyncio.timeout(5 if b"connection: close" in answer else 0.2):
                await reader.read()
        assert reader.at_eof() == (b"connection: close" in answer)
        return int(answer.split()[1]), reader.at_eof()
    finally:
        writer.close()


async def test_only_who_brings_true_notifications_may_stay():
    async with webhook_at_home() as home:
        true = home.signer().notification(receipt())
        assert await closes(home, "POST", PATH, body(true)) == (200, False)
        assert await closes(home, "POST", PATH, body(true | {"Message": "x"})) == (403, True)
        assert await closes(home, "POST", PATH, b"{") == (400, True)
        assert await closes(home, "POST", "/else") == (404, True)
        assert await closes(home, "PUT", PATH, body(true)) == (405, True)
        assert await closes(home, "DELETE", "/healthz") == (405, True)
        assert await closes(home, "GET", "/healthz") == (200, True)
        assert await closes(home, "HEAD", "/healthz") == (200, True)
        home.health = "no courier"
        assert await closes(home, "GET", "/healthz") == (503, True)
        home.inbox.trouble = TryLaterError("The ledger is locked.", "Wait.")
        other = home.signer().notification(receipt("incoming/other"))
        assert await closes(home, "POST", PATH, body(other)) == (503, True)
