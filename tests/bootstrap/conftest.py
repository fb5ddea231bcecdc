from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.account import Account
from tests.doubles.moto import Moto, moto


@pytest.fixture(scope="session")
def emulator() -> Iterator[Moto]:
    """moto, of which every test takes names of its own."""
    with moto() as running:
        yield running


@pytest.fixture(scope="session")
def own_account() -> Iterator[Account]:
    """moto for tests that empty it: an account has one active rule set."""
    with moto() as running:
        yield Account(running)


@pytest.fixture
def account(own_account: Account, tmp_path: Path) -> Account:
    """Return an empty account."""
    return own_account.begin(tmp_path / "keys")
