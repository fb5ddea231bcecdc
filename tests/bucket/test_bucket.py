"""The same cases against the double and against moto, over real HTTP."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import boto3
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from postamt_sync.bucket import (
    Bucket,
    ObjectArchivedError,
    ObjectChangedError,
    ObjectGoneError,
)
from postamt_sync.errors import MisconfiguredError
from tests.doubles.reading import listed, read
from tests.doubles.s3 import S3Double, session_for
from tests.doubles.s3_keys import ODD_KEYS

REGION = "eu-west-1"


@dataclass(frozen=True)
class Server:
    """Something that speaks S3."""

    bucket: str
    session: boto3.Session
    put: Callable[..., object]
    refuses: Callable[[str], bool]
    page_size: int


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def on_moto(endpoint: str) -> Server:
    """All of moto in one process shares its buckets: each test takes its own."""
    name = f"mail-{uuid.uuid4()}"
    session = session_for(endpoint, "AKIAMOTO", "secret")
    client = session.client("s3", region_name=REGION)
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})

    def put(key: str, body: bytes, storage_class: str = "STANDARD") -> None:
        client.put_object(Bucket=name, Key=key, Body=body, StorageClass=storage_class)

    def refuses(key: str) -> bool:
        """Its web server cannot be asked for these."""
        return "\n" in key or "\r" in key

    return Server(name, session, put, refuses, 1000)


@pytest.fixture(params=["double", "moto"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    if request.param == "moto":
        yield on_moto(request.getfixturevalue("moto"))
        return
    async with S3Double() as s3:
        s3.page_size = 7
        yield Server(s3.bucket, s3.session(), s3.put, lambda _: False, s3.page_size)


@pytest.fixture
async def bucket(server: Server) -> AsyncIterator[Bucket]:
    async with Bucket(server.bucket, REGION, session=server.session) as bucket:
        yield bucket


@pytest.mark.slow
async def test_lists_and_fetches_every_odd_key(server: Server, bucket: Bucket) -> None:
    keys = [key for key in ODD_KEYS if not server.refuses(key)]
    for key in keys:
        server.put(key, key.encode())
    found = await listed(bucket)
    assert [o.key for o in found] == sorted(keys, key=str.encode)
    for o in found:
        assert await read(bucket, o.key, o.etag) == o.key.encode()
        assert o.size == len(o.key.encode())


async def test_lists_only_the_prefix(server: Server, bucket: Bucket) -> None:
    for key in ("incoming/a", "incoming/b c+d", "incoming", "recent/a", "zz"):
        server.put(key, b"x")
    assert [o.key for o in await listed(bucket, "incoming/")] == ["incoming/a", "incoming/b c+d"]
    assert [o.key for o in await listed(bucket, "incoming/b c+")] == ["incoming/b c+d"]


async def test_an_empty_bucket_is_one_empty_page(bucket: Bucket) -> None:
    assert [page async for page in bucket.pages("incoming/")] == [[]]


@pytest.mark.slow
async def test_goes_through_all_pages_in_order(server: Server, bucket: Bucket) -> None:
    count = server.page_size * 2 if server.page_size < 100 else 20
    for n in range(count):
        server.put(f"in/{n:04}", b"x")
    pages = [page async for page in bucket.pages("in/")]
    assert [o.key for page in pages for o in page] == [f"in/{n:04}" for n in range(count)]
    assert all(len(page) <= server.page_size for page in pages)


async def test_fetches_what_is_bigger_than_a_chunk(server: Server, bucket: Bucket) -> None:
    body = bytes(range(256)) * 4096 + b"end"
    server.put("big", body)
    async with bucket.fetch("big") as fetched:
        chunks = [chunk async for chunk in fetched.chunks()]
    assert b"".join(chunks) == body
    assert max(map(len, chunks)) <= 256 << 10


async def test_an_empty_object_is_an_object(server: Server, bucket: Bucket) -> None:
    server.put("empty", b"")
    assert await read(bucket, "empty") == b""


async def test_knows_what_the_listing_knew(server: Server, bucket: Bucket) -> None:
    server.put("in/a", b"mail")
    [o] = await listed(bucket)
    async with bucket.fetch("in/a") as fetched:
        assert (fetched.etag, fetched.size) == (o.etag, o.size)
        assert abs(fetched.last_modified - o.modified_at) < 1
        assert (fetched.storage_class, fetched.client_encrypted) == ("STANDARD", False)


async def test_no_such_key(bucket: Bucket) -> None:
    with pytest.raises(ObjectGoneError):
        await read(bucket, "nothing/here")


async def test_another_etag_is_another_object(server: Server, bucket: Bucket) -> None:
    server.put("a", b"new")
    with pytest.raises(ObjectChangedError):
        await read(bucket, "a", hashlib.md5(b"old").hexdigest())


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
async def test_an_archived_object_is_told_and_spoils_nothing(
    server: Server, bucket: Bucket, storage_class: str
) -> None:
    server.put("a", b"old", storage_class=storage_class)
    server.put("b", b"new")
    assert [o.storage_class for o in await listed(bucket)] == [storage_class, "STANDARD"]
    with pytest.raises(ObjectArchivedError) as caught:
        await read(bucket, "a")
    assert caught.value.storage_class == storage_class
    assert await read(bucket, "b") == b"new"


async def test_no_such_bucket(server: Server) -> None:
    async with Bucket("nothing-here", REGION, session=server.session) as bucket:
        with pytest.raises(MisconfiguredError, match="no bucket nothing-here"):
            await listed(bucket)
        with pytest.raises(MisconfiguredError, match="no bucket nothing-here"):
            await read(bucket, "a")


@pytest.mark.slow
async def test_may_be_opened_again(server: Server) -> None:
    server.put("a", b"x")
    bucket = Bucket(server.bucket, REGION, session=server.session)
    for _ in range(2):
        async with bucket:
            assert await read(bucket, "a") == b"x"
