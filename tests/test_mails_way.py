"""One mail from SNS's POST to `new/`: the files that take part are those that the map names."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from postamt_sync.bucket import Bucket
from postamt_sync.ledger.arrival_queue import ArrivalQueue
from tests.delivery.home import Home
from tests.doubles.s3 import S3Double
from tests.doubles.sns import BUCKET, PREFIX, receipt
from tests.doubles.webhook import webhook_at_home
from tests.test_house import GROUND, PACKAGE

MAP = PACKAGE / "README.md"
MOST = 60
"""Files that run for one small mail, those included that only serve others."""
MOST_TO_READ = 15
"""Files that a reader opens to follow it."""


class Calls:
    """The files of ours in which a function was called, in whichever thread, while `noting`."""

    def __init__(self) -> None:
        self.noting = False
        self.files: set[str] = set()

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        if self.noting and event == "call":
            self.files.add(frame.f_code.co_filename)

    @property
    def ours(self) -> set[str]:
        paths = [Path(file) for file in self.files]
        inside = [p.relative_to(PACKAGE) for p in paths if p.is_relative_to(PACKAGE)]
        return {p.as_posix() for p in inside if p.stem not in GROUND}


@contextmanager
def calls_noted() -> Iterator[Calls]:
    calls, before = Calls(), sys.getprofile()
    threading.setprofile(calls.note)  # type: ignore[arg-type]
    sys.setprofile(calls.note)
    try:
        yield calls
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def on_the_map() -> tuple[set[str], set[str]]:
    """Return the files that the map names for this way, and those of its numbered steps."""
    text = MAP.read_text()
    way = text.partition("\n### By webhook, to the answer 200\n")[2].partition("\n### By the poll")[
        0
    ]
    steps = re.findall(r"(?m)^\d+\. `([a-z0-9_/]+\.py)`", way)
    return set(re.findall(r"`([a-z_]+/[a-z0-9_]+\.py)`", way)), set(steps)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.01)


async def test_the_map_names_every_file_that_a_mail_passes(tmp_path: Path) -> None:
    with calls_noted() as calls:
        home = Home(tmp_path)
        async with S3Double(bucket=BUCKET) as s3:
            bucket = Bucket(s3.bucket, s3.region, session=s3.session())
            async with bucket as home.bucket:
                courier = home.courier()
                running = asyncio.create_task(courier.run())
                inbox = ArrivalQueue(home.ledger, home.events, courier.wake)
                async with webhook_at_home(inbox=inbox) as webhook:
                    for number in (1, 2):  # the second meets what the first has made
                        key, body = f"{PREFIX}{number}", b"Subject: %d\r\n\r\nmail\r\n" % number
                        s3.put(key, body)
                        message = receipt(key, BUCKET, "anna@home.example")
                        calls.noting = number == 2
                        status, _ = await webhook.post(webhook.signer().notification(message))
                        assert status == 200
                        await until(lambda: home.log.events().count("delivered") == number)  # noqa: B023
                    calls.noting = False
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
        home.close()
    named, steps = on_the_map()
    assert calls.ours - named == set(), "these are passed and not named"
    assert steps <= calls.ours, "these are steps and not passed"
    assert len(steps) <= MOST_TO_READ
    assert len(calls.ours) <= MOST, sorted(calls.ours)
