from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.doctor.box import Box, well
from tests.doubles.account import Account
from tests.doubles.moto import moto
from tests.host.conftest import home, machine  # noqa: F401  fixtures, by their names


@pytest.fixture(scope="session")
def own_account() -> Iterator[Account]:
    """moto for tests that empty it: an account has one active rule set."""
    with moto() as running:
        yield Account(running)


@pytest.fixture
async def box(
    own_account: Account,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Box]:
    """Return a box on which all is well."""
    account = own_account.begin(tmp_path / "keys")
    async with well(tmp_path / "box", account, monkeypatch, capsys) as box:
        yield box
