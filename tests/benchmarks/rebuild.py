"""What repair costs: python -m tests.benchmarks.rebuild [mails].

A lost ledger rebuilt from the names of that many mails and a listing of as many objects, the look
that every start takes at the names, the daily copy, and a verify. The listing comes from memory, so
that the network does not count; files, ledger and syncs are real.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

from postamt_sync.bucket import Listed
from postamt_sync.config import load
from postamt_sync.delivery.filename import final_name, make_stem
from postamt_sync.events import Events
from postamt_sync.intake.scanner import Scanner
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.backup import back_up
from postamt_sync.mail.arrival import Source
from postamt_sync.recovery.completion import complete_from_maildirs, end_rebuild
from postamt_sync.recovery.verify import Comparison
from tests.benchmarks.ledger import BUCKET, PAGE, key, measured, paged
from tests.doubles.inbox import MemoryLog
from tests.support.household import configuration, configure

SINCE = 1_600_000_000
BODY = b"Subject: x\r\n\r\nmail\r\n"
ETAG = hashlib.md5(BODY).hexdigest()
FOLDERS = ("", ".Archive", ".Lists.Club", ".Work")


class MemoryListing:
    """As much of a bucket as a listing is; it knows one object more than there are files."""

    name = BUCKET

    def __init__(self, keys: list[str]) -> None:
        self._keys = keys

    async def pages(self, prefix: str) -> AsyncIterator[list[Listed]]:
        for page in paged(self._keys):
            yield [Listed(k, ETAG, len(BODY), _iso(k), "STANDARD", False) for k in page]


def _at(name: str) -> int:
    return SINCE + int(name[-6:], 16)


def _iso(name: str) -> str:
    return dt.datetime.fromtimestamp(_at(name), dt.UTC).isoformat()


def fill(root: Path, keys: list[str]) -> None:
    for folder in FOLDERS:
        for part in ("tmp", "new", "cur"):
            (root / folder / part).mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(keys):
        stem = make_stem(BUCKET, each, ETAG, _at(each))
        place = root / FOLDERS[number % len(FOLDERS)] / "cur"
        path = place / f"{final_name(stem, len(BODY), len(BODY))}:2,S"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.write(fd, BODY)
        os.close(fd)


async def listed(ledger: Ledger, bucket: Any, events: Events) -> None:
    await Scanner(bucket, ledger, events, "incoming/", "").everything(Source.RECONCILE)


def main(count: int) -> None:
    keys = sorted(key(number) for number in range(count))
    events = Events(MemoryLog())
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        settings = load(configure(base, configuration(base, people=["anna"], bucket=BUCKET)), {})
        fill(base / "anna", keys)
        bucket: Any = MemoryListing([*keys, "incoming/~" + "f" * 6])
        with closing(Ledger.open(settings.state_dir)) as ledger:
            with measured(f"{count} names taken in"):
                assert complete_from_maildirs(settings, ledger, events) == count
            with measured(f"{count} objects listed, which claim their names"):
                asyncio.run(listed(ledger, bucket, events))
            with measured("the end of the rebuild"):
                assert end_rebuild(settings, ledger, events) is not None
            states = ledger.overview.states()
            assert (states["delivered"], states["waiting"]) == (count, 1), states
            with measured("the look at the names of a healthy start"):
                assert complete_from_maildirs(settings, ledger, events) == 0
            with measured("the daily copy"):
                copy = back_up(settings.state_dir, settings.state_dir)
            print(f"{'':55} {copy.stat().st_size / 1e6:.1f} MB")
            for content in (False, True):
                comparison = Comparison(settings, ledger, bucket, content=content)
                with measured(f"verify of {count} objects{' with their content' * content}"):
                    found = asyncio.run(comparison.run())
                assert found == []
                assert comparison.counted.objects == count + 1


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100 * PAGE)
