from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from postamt_sync.config import Settings
from postamt_sync.doctor.box import DiskSpaceCheck, LastMailCheck, LedgerCheck, ServiceCheck
from postamt_sync.doctor.finding import Severity
from postamt_sync.ledger import CourierLock, Ledger
from tests.support import household


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return household.settings(tmp_path)


def systemd(active: str, file: str = "enabled", load: str = "loaded") -> Callable[..., str]:
    return lambda *_: f"LoadState={load}\nActiveState={active}\nUnitFileState={file}\n"


@pytest.mark.parametrize(
    ("asked", "outcome", "remedy"),
    [
        (systemd("active"), Severity.OK, ""),
        (systemd("active", "disabled"), Severity.WARNING, "systemctl enable"),
        (systemd("failed"), Severity.FAILURE, "journalctl -u postamt-sync"),
        (systemd("inactive"), Severity.FAILURE, "restart postamt-sync"),
        (systemd("inactive", load="not-found"), Severity.WARNING, "service install"),
        (lambda *_: "", Severity.WARNING, "service install"),
    ],
)
def test_what_systemd_says(
    tmp_path: Path, asked: Callable[..., str], outcome: Severity, remedy: str
) -> None:
    (found,) = ServiceCheck(tmp_path, asked).look()
    assert found.outcome is outcome
    assert remedy in found.remedy


def test_a_daemon_that_runs_without_systemd(settings: Settings) -> None:
    Ledger.open(settings.state_dir).close()
    with CourierLock(settings.state_dir, "run"):
        (found,) = ServiceCheck(settings.state_dir, lambda *_: "").look()
    assert found.outcome is Severity.WARNING
    assert "not under systemd" in found.words


def test_no_ledger_yet_and_none_is_made(settings: Settings) -> None:
    (found,) = LedgerCheck(settings.state_dir).look()
    assert found.outcome is Severity.WARNING
    assert not settings.state_dir.exists()


def test_a_full_disk(settings: Settings, read_only: Path) -> None:
    (found,) = DiskSpaceCheck(settings.model_copy(update={"state_dir": read_only})).look()
    assert found.outcome is Severity.FAILURE
    assert str(read_only) in found.words
    assert "room" in found.remedy


def test_a_source_that_does_not_work_is_told_with_the_last_mail(settings: Settings) -> None:
    ledger = Ledger.open(settings.state_dir)
    ledger.overview.source_bad("poll", "no network")
    ledger.close()
    last, source = LastMailCheck(settings).look()
    assert "--round-trip" in last.remedy
    assert source.subject == "source poll"
    assert "no network" in source.words
