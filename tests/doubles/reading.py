"""Reads a bucket to its end, as most tests want it."""

from __future__ import annotations

import hashlib

from postamt_sync.bucket import Bucket, Listed

MAIL = b"From: a\r\n\r\n" + b"x" * 300_000
"""Bigger than one chunk."""


async def read(bucket: Bucket, key: str, etag: str | None = None) -> bytes:
    async with bucket.fetch(key, etag=etag) as fetched:
        body = b"".join([chunk async for chunk in fetched.chunks()])
        assert fetched.sha256 == hashlib.sha256(body).hexdigest()
        assert fetched.size == len(body)
        return body


async def listed(bucket: Bucket, prefix: str = "") -> list[Listed]:
    return [o async for page in bucket.pages(prefix) for o in page]
