from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.ledger import Ledger
from tests.support.new_ledger import new_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger in `tmp_path`."""
    ledger = new_ledger(tmp_path)
    yield ledger
    ledger.close()
