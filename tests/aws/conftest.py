from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.moto import Moto, moto


@pytest.fixture(scope="module")
def cloud() -> Iterator[Moto]:
    with moto() as cloud:
        yield cloud
