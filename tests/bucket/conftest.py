from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from postamt_sync.bucket import Bucket
from tests.doubles.reading import MAIL
from tests.doubles.s3 import S3Double


@pytest.fixture
async def s3() -> AsyncIterator[S3Double]:
    """The double with one mail, `in/a`."""
    async with S3Double() as s3:
        s3.put("in/a", MAIL)
        yield s3


@pytest.fixture
async def bucket(s3: S3Double) -> AsyncIterator[Bucket]:
    async with Bucket("mail", "eu-west-1", session=s3.session(), connections=2) as bucket:
        yield bucket
