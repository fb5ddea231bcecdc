"""The checks that HTTP would make for us on a good day."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from multidict import CIMultiDict

from postamt_sync.bucket import Fetched
from postamt_sync.errors import TryLaterError


class Content:
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            assert len(chunk) <= size
            yield chunk


class Response:
    """An answer whose Content-Length nobody has compared with its body."""

    def __init__(
        self,
        size: str,
        *chunks: bytes,
        etag: str = '"abc-2"',
        date: str = "Sat, 21 Nov 2026 18:49:35 GMT",
    ) -> None:
        self.content = Content(list(chunks))
        self.headers = CIMultiDict(
            {
                "ETag": etag,
                "Content-Length": size,
                "Last-Modified": date,
            }
        )


def fetched(size: str, *chunks: bytes, etag: str = '"abc-2"') -> Fetched:
    response: Any = Response(size, *chunks, etag=etag)
    return Fetched(response)


async def test_reads_the_answer() -> None:
    it = fetched("4", b"ma", b"il")
    assert (it.etag, it.size, it.last_modified) == ("abc-2", 4, 1795286975.0)
    assert [chunk async for chunk in it.chunks()] == [b"ma", b"il"]
    assert it.sha256 == hashlib.sha256(b"mail").hexdigest()


@pytest.mark.parametrize("chunks", [[], [b"mai"], [b"mail", b"!"]])
async def test_short_or_long_is_damaged(chunks: list[bytes]) -> None:
    it = fetched("4", *chunks)
    with pytest.raises(TryLaterError, match="of 4 bytes came"):
        _ = [chunk async for chunk in it.chunks()]
    with pytest.raises(RuntimeError):
        _ = it.sha256


@pytest.mark.parametrize("size", ["", "four", "-"])
def test_a_length_that_is_none_is_damaged(size: str) -> None:
    with pytest.raises(TryLaterError, match="lacks"):
        fetched(size)


async def test_upper_case_does_not_make_another_md5() -> None:
    it = fetched("4", b"mail", etag=f'"{hashlib.md5(b"mail").hexdigest().upper()}"')
    assert [chunk async for chunk in it.chunks()] == [b"mail"]


@pytest.mark.parametrize(
    "date",
    [
        "Sat, 21 Nov 2026 18:49:35 GMT",
        "Saturday, 21-Nov-26 18:49:35 GMT",
        "Sat Nov 21 18:49:35 2026",
        "21 Nov 2026 18:49:35 +0000",
    ],
)
def test_every_date_of_http_is_understood(date: str) -> None:
    response: Any = Response("4", date=date)
    assert Fetched(response).last_modified == 1795286975.0


@pytest.mark.parametrize(
    "date",
    [
        "",
        "Sat, 31 Feb 2026 18:49:35 GMT",
        "Sat, 21 Nov 2026 25:49:35 GMT",
        "Sat, 21 Nov 2026 18:61:35 GMT",
        "Sat, 21 Xxx 2026 18:49:35 GMT",
        "Sat, 21 Nov 0000 18:49:35 GMT",
    ],
)
def test_a_date_that_is_none_is_damaged(date: str) -> None:
    response: Any = Response("4", date=date)
    with pytest.raises(TryLaterError, match="lacks"):
        Fetched(response)


async def test_a_hash_is_not_given_out_halfway() -> None:
    it = fetched("4", b"ma", b"il")
    async for _ in it.chunks():
        with pytest.raises(RuntimeError):
            _ = it.sha256
