from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.config import Settings, load
from postamt_sync.ledger import Ledger

CONFIGURATION = """
state_dir = "{root}/state"
[aws]
region = "eu-west-1"
[bucket]
name = "mail"
[[mailboxes]]
name = "anna"
maildir = "{root}/anna"
addresses = ["anna@example.com"]
default = true
[[mailboxes]]
name = "bruno"
maildir = "{root}/bruno"
addresses = ["bruno@example.com"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "config.toml"
    path.write_text(CONFIGURATION.format(root=tmp_path))
    return load(path, {})


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    ledger = Ledger.open(settings.state_dir)
    yield ledger
    ledger.close()
