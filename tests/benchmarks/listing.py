"""CPU for listing 100,000 keys: boto3's paginator against the streaming parser.

    python tests/benchmarks/listing.py [--keys 100000]

The pages are made beforehand and served by another process, so that only the client is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[2]))

from postamt_sync.bucket import Bucket
from tests.doubles.s3 import S3Double, session_for

REGION = "eu-west-1"


class Canned:
    """Serves ready-made pages by number."""

    def __init__(self, pages: list[bytes]) -> None:
        self._pages = pages

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        page = int(request.query.get("continuation-token", "0"))
        return web.Response(body=self._pages[page], content_type="application/xml")


async def ready_made(keys: int) -> list[bytes]:
    """Take the double's own page as the pattern for all."""
    s3 = S3Double()
    pages = []
    for first in range(0, keys, 1000):
        s3.objects.clear()
        for n in range(first, min(first + 1000, keys)):
            s3.put(f"incoming/{n:08}abcdefghijklmnopqrstuv01234567", b"x")
        xml = s3.listing({"encoding-type": "url"}).body
        if first + 1000 < keys:
            more = f"<NextContinuationToken>{len(pages) + 1}</NextContinuationToken>".encode()
            xml = xml.replace(b"<IsTruncated>false", more + b"<IsTruncated>true")
        pages.append(xml)
    return pages


async def serve(keys: int) -> None:
    runner = web.ServerRunner(web.Server(Canned(await ready_made(keys))))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


def with_boto3(endpoint: str) -> int:
    client: Any = session_for(endpoint, "AKIA", "s").client("s3", region_name=REGION)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="mail", Prefix="incoming/")
    return sum(len(page["Contents"]) for page in pages)


def with_the_fast_lane(endpoint: str) -> int:
    async def run() -> int:
        session = session_for(endpoint, "AKIA", "s")
        async with Bucket("mail", REGION, session=session) as bucket:
            return sum([len(page) async for page in bucket.pages("incoming/")])

    return asyncio.run(run())


def measure(name: str, lane: Callable[[str], int], endpoint: str, keys: int) -> None:
    start, cpu = time.monotonic(), time.process_time()
    assert lane(endpoint) == keys
    elapsed, spent = time.monotonic() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name:10} {spent:6.2f} s CPU {elapsed:6.2f} s, peak {peak:.0f} MB so far")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.keys))
        return
    command = [sys.executable, __file__, "--serve", "--keys", str(options.keys)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        try:
            measure("fast lane", with_the_fast_lane, endpoint, options.keys)
            measure("boto3", with_boto3, endpoint, options.keys)
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
