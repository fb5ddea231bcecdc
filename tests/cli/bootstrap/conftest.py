from __future__ import annotations

import pytest

from tests.doubles.account import Account


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
