from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.ledger import Ledger
from tests.support.household import configure


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return configure(tmp_path)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger.open(tmp_path / "state")
    yield ledger
    ledger.close()
