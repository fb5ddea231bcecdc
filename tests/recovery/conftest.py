from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.recovery.box import Box


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    async with S3Double() as s3:
        yield Box(tmp_path, s3)
