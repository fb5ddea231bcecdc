"""The heartbeat: asked for after polls, logged at changes only, its address never told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from postamt_sync.alerts.heartbeat import Heartbeat
from postamt_sync.config import LiveSettings
from postamt_sync.events import Events
from tests.doubles.inbox import MemoryLog
from tests.doubles.sns import certificate_pem, key_pem, private_key
from tests.support.live_settings import live_settings

SECRET = "/5f3e0c1a?token=5f3e0c1a"


@dataclass
class Watcher:
    """A watcher that answers with each status in `answers` once, then 200; None: not at all."""

    answers: list[int | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.agents.append(request.headers["User-Agent"])
        status = self.answers.pop(0) if self.answers else 200
        if status is None:
            await asyncio.sleep(3600)
        headers = {"Location": "/elsewhere"} if status in {301, 302, 307, 308} else {}
        return web.Response(status=status or 200, headers=headers)


@asynccontextmanager
async def watching(
    answers: list[int | None] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Watcher]:
    watcher = Watcher(answers or [])
    runner = web.ServerRunner(web.Server(watcher.answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    watcher.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}{SECRET}"
    try:
        yield watcher
    finally:
        await runner.cleanup()


def asking_for(url: str) -> LiveSettings:
    return live_settings(poll={"heartbeat_url": url})


@asynccontextmanager
async def beating(
    url: str, seconds: float = 30, live: LiveSettings | None = None
) -> AsyncIterator[tuple[Heartbeat, MemoryLog]]:
    log = MemoryLog()
    live = live or asking_for(url)
    heartbeat = Heartbeat(live, Events(log), seconds=seconds)
    task = asyncio.create_task(heartbeat.run())
    try:
        yield heartbeat, log
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled(), "it ended by itself"
        assert "5f3e0c1a" not in str(log.said)


async def until(log: MemoryLog, lines: int) -> None:
    async with asyncio.timeout(60):
        while len(log.said) < lines:
            await asyncio.sleep(0.01)


async def beats(heartbeat: Heartbeat, watcher: Watcher, count: int) -> None:
    """Beat so many times, one after the other."""
    async with asyncio.timeout(60):
        for _ in range(count):
            before = len(watcher.asked)
            heartbeat.soon()
            while len(watcher.asked) == before:
                await asyncio.sleep(0.01)


async def test_each_poll_is_told_and_only_the_first_is_logged() -> None:
    async with watching() as watcher, beating(watcher.url) as (heartbeat, log):
        assert heartbeat.failing is None
        await beats(heartbeat, watcher, 3)
        await until(log, 1)
        assert watcher.asked == [f"GET {SECRET}"] * 3
        assert set(watcher.agents) == {"postamt-sync"}
        assert log.said == [("info", "heartbeat arrives", {"host": "127.0.0.1"})]
        assert heartbeat.failing is False


async def test_a_failure_is_logged_once_and_its_end_too() -> None:
    async with (
        watching([200, 503, 503, 503, 404, 200, 200]) as watcher,
        beating(watcher.url) as (heartbeat, log),
    ):
        await beats(heartbeat, watcher, 4)
        await until(log, 2)
        assert heartbeat.failing is True
        await beats(heartbeat, watcher, 3)
        await until(log, 4)
        assert heartbeat.failing is False
        assert [(said, fields.get("reason")) for _, said, fields in log.said] == [
            ("heartbeat arrives", None),
            ("heartbeat does not arrive", "It answered 503."),
            ("heartbeat does not arrive", "It answered 404."),
            ("heartbeat arrives", None),
        ]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_it_goes_nowhere_else(status: int) -> None:
    async with watching([status]) as watcher, beating(watcher.url) as (heartbeat, log):
        heartbeat.soon()
        await until(log, 1)
        assert watcher.asked == [f"GET {SECRET}"]
        assert str(status) in log.said[0][2]["reason"]


@pytest.mark.slow
async def test_a_watcher_that_is_silent_is_not_waited_for_long() -> None:
    async with watching([None]) as watcher, beating(watcher.url, 0.2) as (heartbeat, log):
        heartbeat.soon()
        await until(log, 1)
        assert log.said[0][2]["reason"] == "No answer came in time."
        heartbeat.soon()
        await until(log, 2)
        assert log.said[1][1] == "heartbeat arrives"


async def test_many_polls_in_a_row_make_one_more_beat() -> None:
    async with watching() as watcher, beating(watcher.url) as (heartbeat, _):
        for _ in range(50):
            heartbeat.soon()
        await asyncio.sleep(0)
        for _ in range(50):
            heartbeat.soon()
        await beats(heartbeat, watcher, 1)
        assert len(watcher.asked) <= 3


async def test_a_certificate_that_nobody_signed_is_not_believed(tmp_path: Path) -> None:
    key = private_key()
    (tmp_path / "chain.pem").write_bytes(certificate_pem(key))
    (tmp_path / "key.pem").write_bytes(key_pem(key))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    async with watching(tls=tls) as watcher, beating(watcher.url) as (heartbeat, log):
        heartbeat.soon()
        await until(log, 1)
        assert log.said[0][2]["reason"] == "Its certificate is not trusted."
        assert watcher.asked == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (f"http://127.0.0.1:1{SECRET}", "cannot be reached"),
        (f"https://no-such-host.invalid{SECRET}", "does not resolve|No answer"),
        (f"https://a..b{SECRET}", "cannot be asked|not known"),
    ],
)
async def test_an_address_that_leads_nowhere_disturbs_nothing(url: str, reason: str) -> None:
    async with beating(url) as (heartbeat, log):
        heartbeat.soon()
        await until(log, 1)
        assert any(words in log.said[0][2]["reason"] for words in reason.split("|"))


async def test_without_an_address_nobody_is_asked_until_a_reload_brings_one() -> None:
    live = asking_for("")
    async with watching() as watcher, beating("", live=live) as (heartbeat, log):
        heartbeat.soon()
        await asyncio.sleep(0.05)
        assert heartbeat.failing is None
        assert log.said == []
        live.replace(asking_for(watcher.url).current, may_remove=False)
        await beats(heartbeat, watcher, 1)
        await until(log, 1)
        live.replace(asking_for("").current, may_remove=False)
        assert heartbeat.failing is None
