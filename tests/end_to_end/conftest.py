from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import Home


@pytest.fixture
def s3() -> Iterator[S3Double]:
    with S3Double.in_thread() as s3:
        yield s3


@pytest.fixture
def home(tmp_path: Path, s3: S3Double) -> Iterator[Home]:
    home = Home(tmp_path, s3.environment())
    yield home
    home.close()
