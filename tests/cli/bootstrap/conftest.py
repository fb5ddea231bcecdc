from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.moto import Moto, moto


@pytest.fixture(scope="session")
def emulator() -> Iterator[Moto]:
    """moto, of which every test takes names of its own."""
    with moto() as running:
        yield running
