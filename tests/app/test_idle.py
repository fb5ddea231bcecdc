"""What wakes a daemon that has nothing to do, counted on a clock that jumps from timer to timer."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from postamt_sync.app.daemon import Daemon
from postamt_sync.config import load
from postamt_sync.events import Events
from tests.doubles.inbox import MemoryLog
from tests.doubles.s3 import S3Double
from tests.doubles.sns import TOPIC
from tests.support.household import configuration, configure
from tests.support.ports import reserved_port

SETTLED, WATCHED = 120.0, 600.0
"""Seconds of the loop's own clock: after what happens once, and for as long as is counted."""
MOST = 1.0
"""Wake-ups a second. Each job for a thread is two: the thread's, and ours when it is done."""
MORE = """
[webhook]
listen = "127.0.0.1:{webhook}"
path = "/sns"
public_url = "http://127.0.0.1:{webhook}/sns"
topic_arn = "{topic}"

[index]
table = "postamt"

[admin]
listen = "127.0.0.1:{admin}"
"""
THREADS = {"own thread", "question to a disk"}


class JumpingSelector(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """Where nothing is to be read, nobody waits: the clock jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.woken = 0

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        self.woken += 1
        while not ready and THREADS & {each.name for each in threading.enumerate()}:
            ready = super().select(0.01)
        ready = ready or super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """Does the work of threads by itself, so that all is in one order, and counts it."""

    def __init__(self) -> None:
        self.selector = JumpingSelector()
        super().__init__(self.selector)

    def time(self) -> float:
        return self.selector.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        self.selector.woken += 2
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  raised where it is awaited
            future.set_exception(error)
        return future


@contextmanager
def jumping() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        yield runner


async def idle(root: Path, environ: Callable[[Mapping[str, str]], None]) -> float:
    """Let a daemon run, and return how often a second it woke up."""
    more = MORE.format(webhook=reserved_port(), admin=reserved_port(), topic=TOPIC)
    path = configure(root, configuration(root, more))
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    async with S3Double() as s3:
        environ({**s3.environment(), "AWS_ENDPOINT_URL_SNS": "http://127.0.0.1:1"})
        daemon = Daemon(load(path, {}), lambda: load(path, {}), Events(MemoryLog()))
        running = asyncio.create_task(daemon.run())
        await asyncio.sleep(SETTLED)
        before = loop.selector.woken
        await asyncio.sleep(WATCHED)
        woken = loop.selector.woken - before
        assert not running.done(), running.exception()
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    return woken / WATCHED


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[str, str]], None]:
    def put(variables: Mapping[str, str]) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


@pytest.mark.slow
def test_a_daemon_that_has_nothing_to_do_sleeps(
    tmp_path: Path, environ: Callable[[Mapping[str, str]], None]
) -> None:
    with jumping() as runner:
        woken = runner.run(idle(tmp_path, environ))
    assert woken <= MOST
