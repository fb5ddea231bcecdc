from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.doubles.dns import NameServer


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    async with NameServer() as running:
        yield running
