from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from postamt_sync.ledger import Ledger
from tests.doubles.account import Account
from tests.doubles.s3 import S3Double
from tests.support.household import configure
from tests.support.new_ledger import new_ledger


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return configure(tmp_path)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = new_ledger(tmp_path / "state")
    yield ledger
    ledger.close()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Double]:
    """Yield a bucket that the commands take for AWS's."""
    with S3Double.in_thread() as double:
        for name, value in double.environment().items():
            monkeypatch.setenv(name, value)
        yield double


@pytest.fixture
def aws(account: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """Return an empty account, which the commands take for AWS."""
    for name, value in account.emulator.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(account.keys.parent / "own"))
    monkeypatch.delenv("POSTAMT_SYNC_CONFIG", raising=False)
    return account
