"""What looking for mail costs: requests, CPU and dollars of a poll, a reconcile, a backfill.

    python -m tests.benchmarks.looking [--mails-a-day 40] [archived ...]

For archives of 1,000, 100,000 and 1,000,000 mails, all of them delivered: a poll with and without
`recent/`, and a reconcile. Then a backfill's questions to the index. S3 and DynamoDB are played by
another process, so that only our side is measured; the prices are those of `bootstrap cost`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from postamt_sync.aws.prices import DYNAMODB_READ, S3_PUT
from postamt_sync.bucket import Bucket
from postamt_sync.events import Events
from postamt_sync.index.client import Index
from postamt_sync.index.lookups import IndexLookups
from postamt_sync.intake.scanner import Scanner
from postamt_sync.ledger import Ledger
from postamt_sync.mail.arrival import Arrival, Source
from tests.doubles.inbox import MemoryLog
from tests.doubles.s3 import S3Double, session_for

REGION, BUCKET, TABLE = "eu-west-1", "mail", "postamt"
IN, RECENT = "incoming/", "recent/"
PAGE = 1_000
RECENT_DAYS = 14
POLLS, RECONCILES = 30 * 86_400 / 300, 30
"""In a month, at the intervals that are the default."""
READ_UNITS = 0.5
"""Of an item of at most 4 KB, read eventually consistent; of one that is not there as well."""
ETAG = "0123456789abcdef0123456789abcdef"


def name(number: int) -> str:
    """Like SES's ids these say nothing of time; unlike them, they are in order."""
    return f"{number:010}qrstuv0123456789abcdefghijklmn"


class Aws:
    """Answers LIST, page by page, and BatchGetItem; counts the requests of each."""

    def __init__(self, archived: int, recent: int) -> None:
        step = archived // recent
        self._numbers = {IN: range(archived), RECENT: range(0, step * recent, step)}
        self.requests: dict[str, int] = {}

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/requests":
            counted, self.requests = self.requests, {}
            return web.json_response(counted)
        if "X-Amz-Target" in request.headers:
            return self._items(json.loads(await request.text()))
        self._count("LIST")
        return web.Response(body=self._page(request), content_type="application/xml")

    def _count(self, what: str) -> None:
        self.requests[what] = self.requests.get(what, 0) + 1

    def _page(self, request: web.BaseRequest) -> bytes:
        prefix = request.query["prefix"]
        start = int(request.query.get("continuation-token", "0"))
        numbers = self._numbers[prefix]
        s3 = S3Double()
        for number in numbers[start : start + PAGE]:
            s3.put(prefix + name(number), b"x", last_modified=float(number))
        xml: bytes = s3.listing({"encoding-type": "url"}).body
        xml = xml.replace(next(iter(s3.objects.values())).etag.encode(), ETAG.encode())
        if start + PAGE < len(numbers):
            more = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>".encode()
            xml = xml.replace(b"<IsTruncated>false", more + b"<IsTruncated>true")
        return xml

    def _items(self, asked: Any) -> web.Response:
        self._count("BatchGetItem")
        items = [
            {
                **key,
                "key": {"S": IN + key["message_id"]["S"]},
                "recipients": {"SS": ["anna@home.example", "bruno@home.example"]},
                "sender": {"S": "someone@sender.example"},
                **{verdict: {"S": "PASS"} for verdict in ("spam", "virus", "spf", "dkim")},
            }
            for key in asked["RequestItems"][TABLE]["Keys"]
        ]
        return web.json_response(
            {"Responses": {TABLE: items}, "UnprocessedKeys": {}},
            content_type="application/x-amz-json-1.0",
        )


async def serve(archived: int, recent: int) -> None:
    runner = web.ServerRunner(web.Server(Aws(archived, recent)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


@contextmanager
def aws(archived: int, recent: int) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.benchmarks.looking", "--serve", f"{archived},{recent}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@dataclass(frozen=True)
class Cost:
    requests: dict[str, int]
    cpu: float
    seconds: float

    def row(self, what: str, times: float, units: float = 0.0) -> str:
        lists = self.requests.get("LIST", 0)
        dollars = lists * S3_PUT.usd / S3_PUT.per + units * DYNAMODB_READ.usd / DYNAMODB_READ.per
        month = f"{dollars * times:9.2f} $ a month" if times else f"{dollars:9.4f} $ once"
        return (
            f"  {what:28} {sum(self.requests.values()):6} requests {self.cpu:7.3f} s CPU"
            f" {self.seconds:7.2f} s {month}"
        )


async def measured(endpoint: str, work: Callable[[], Awaitable[object]]) -> Cost:
    async with aiohttp.ClientSession() as session:
        await (await session.get(f"{endpoint}/requests")).json()
        started, cpu = time.monotonic(), time.process_time()
        await work()
        seconds, spent = time.monotonic() - started, time.process_time() - cpu
        return Cost(await (await session.get(f"{endpoint}/requests")).json(), spent, seconds)


def fill(ledger: Ledger, archived: int) -> None:
    """Let the ledger know every object, as one that was delivered long ago."""
    for start in range(0, archived, PAGE):
        page = [
            Arrival(BUCKET, IN + name(n), Source.SYNC, ETAG, 1, float(n), "STANDARD")
            for n in range(start, min(start + PAGE, archived))
        ]
        ledger.arrivals.record(page, adopt=True)
    with ledger.store.writing() as db:
        db.execute("UPDATE objects SET state = 'delivered'")


async def look(endpoint: str, archived: int, recent: int, directory: Path) -> None:
    events = Events(MemoryLog())
    session = session_for(endpoint, "AKIA", "s")
    ledger = Ledger.open(directory)
    fill(ledger, archived)
    async with Bucket(BUCKET, REGION, session=session) as bucket:
        scanner = Scanner(bucket, ledger, events, IN, RECENT)
        await scanner.recent()  # whatever is made at the first request is made
        print(f"{archived:,} archived, {recent:,} of them recent")
        with_recent = await measured(endpoint, scanner.recent)
        everything = await measured(endpoint, lambda: scanner.everything(Source.RECONCILE))
    ledger.close()
    print(with_recent.row("poll with recent/", POLLS))
    print(everything.row("poll without recent/", POLLS))
    print(everything.row("reconcile", RECONCILES), flush=True)


async def backfill(endpoint: str, mails: int, directory: Path) -> None:
    """Take a listing of an unknown bucket in, with an index and without one."""
    session = session_for(endpoint, "AKIA", "s")
    events = Events(MemoryLog())
    client = session.client("dynamodb", region_name=REGION)
    costs = {}
    for what in ("without an index", "with an index"):
        ledger = Ledger.open(directory / what.split()[0])
        index = Index(client, TABLE, IN)
        envelopes = IndexLookups(index, ledger, events, grace=lambda: 900)
        extra = (envelopes.complete,) if what.startswith("with ") else ()
        async with Bucket(BUCKET, REGION, session=session) as bucket:
            scanner = Scanner(bucket, ledger, events, IN, "", *extra)
            costs[what] = await measured(endpoint, lambda: scanner.everything(Source.SYNC))  # noqa: B023
        ledger.close()
    print(f"a backfill of {mails:,}: listing and taking in, before any mail is fetched")
    for what, cost in costs.items():
        units = mails * READ_UNITS if what.startswith("with ") else 0
        print(cost.row(what, 0, units), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archived", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--mails-a-day", type=int, default=40)
    parser.add_argument("--backfill", type=int, default=100_000)
    parser.add_argument("--serve", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(*map(int, options.serve.split(","))))
        return
    for archived in options.archived:
        recent = min(archived, options.mails_a_day * RECENT_DAYS)
        with aws(archived, recent) as endpoint, tempfile.TemporaryDirectory() as directory:
            asyncio.run(look(endpoint, archived, recent, Path(directory)))
    mails = options.backfill
    with aws(mails, 1) as endpoint, tempfile.TemporaryDirectory() as directory:
        asyncio.run(backfill(endpoint, mails, Path(directory)))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak {peak:.0f} MB, the preparations included")


if __name__ == "__main__":
    main()
