"""How long a peer may keep us waiting, and what it hands us."""

from __future__ import annotations

import asyncio
import gzip

import pytest

from postamt_sync.http.connection import Limits
from tests.doubles.scene import GET, answer, listening, until

pytestmark = pytest.mark.slow


async def test_a_body_is_handed_on_as_it_came():
    """Inflated, a small body could take all the memory there is."""
    raw = gzip.compress(b"hello")
    async with listening() as scene:
        reader, writer = await scene.connect()
        head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: "
        writer.write(f"{head}{len(raw)}\r\n\r\n".encode() + raw)
        await answer(reader)
        assert scene.bodies == [raw]


async def test_who_says_nothing_is_cut_off():
    async with listening(Limits(headers=0.05)) as scene:
        reader, writer = await scene.connect()
        assert await reader.read() == b""
        assert scene.refused == []
        writer.close()


@pytest.mark.parametrize("first", [b"", GET])
async def test_slow_headers_are_cut_off_however_steadily_they_drip(first):
    async with listening(Limits(headers=0.2, idle=30)) as scene:
        reader, writer = await scene.connect()
        if first:
            writer.write(first)
            await answer(reader)

        async def drip():
            writer.write(b"GET / HTTP/1.1\r\n")
            while True:
                writer.write(b"a: b\r\n")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        await until(lambda: scene.listener.connections == 0)
        dripping.cancel()
        assert [status for status, _, _ in scene.refused] == [408]
        assert scene.refused[0][2] == "127.0.0.1"
        writer.close()


async def test_an_idle_connection_is_closed():
    # aiohttp itself closes after both together, which is not meant here.
    async with listening(Limits(idle=0.05, headers=600)) as scene:
        reader, writer = await scene.connect()
        writer.write(GET)
        await answer(reader)
        await until(lambda: scene.listener.connections == 0)
        assert scene.refused == []
        writer.close()


async def test_an_answer_may_take_longer_than_the_headers():
    async with listening(Limits(headers=0.05, idle=0.05)) as scene:
        scene.gate.clear()
        reader, writer = await scene.connect()
        writer.write(GET)
        await until(lambda: scene.entered)
        await asyncio.sleep(0.15)
        scene.gate.set()
        assert await answer(reader) == (b"200", b"hello")
        writer.close()


async def test_a_body_may_take_longer_than_the_headers():
    async with listening(Limits(headers=0.1)) as scene:
        reader, writer = await scene.connect()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        await until(lambda: scene.entered)
        await asyncio.sleep(0.2)
        writer.write(b"{}")
        assert await answer(reader) == (b"200", b"hello")
        writer.close()
