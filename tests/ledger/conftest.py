from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger in `tmp_path`."""
    ledger = Ledger.open(tmp_path)
    yield ledger
    ledger.close()
