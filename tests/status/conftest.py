from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.config import Settings, load
from postamt_sync.ledger import Ledger
from tests.support.household import configure
from tests.support.new_ledger import new_ledger


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(configure(tmp_path), {})


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    ledger = new_ledger(settings.state_dir)
    yield ledger
    ledger.close()
