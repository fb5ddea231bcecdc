"""The box itself: ledger, disk, what systemd says, when mail last came."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from postamt_sync.alerts.conditions import full
from postamt_sync.config import Settings
from postamt_sync.doctor.finding import Finding, Severity
from postamt_sync.errors import MisconfiguredError
from postamt_sync.events import printable
from postamt_sync.host.service.service import SERVICE
from postamt_sync.ledger import CourierLock, Ledger, ObjectState
from postamt_sync.ledger.lock import check_access
from postamt_sync.quantities import count
from postamt_sync.status.durations import ago
from postamt_sync.status.report import read_report as report

QUIET = 7 * 86_400.0
"""Seconds without mail that are worth a word."""
ROUND_TRIP = "Try the whole way with: postamt-sync doctor --round-trip"


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """Is the ledger there, and does SQLite find it whole?"""

    state_dir: Path

    @property
    def subject(self) -> str:
        return "ledger"

    def look(self) -> Iterable[Finding]:
        if not Ledger.is_there(self.state_dir):
            words = f"There is no ledger in {self.state_dir} yet."
            remedy = "The first postamt-sync run or sync makes it; is state_dir the right one?"
            yield Finding(self.subject, Severity.WARNING, words, remedy)
            return
        remedy = "Stop the daemon and rebuild it with: postamt-sync rebuild"
        try:
            ledger = Ledger.open_existing(self.state_dir)
        except MisconfiguredError as error:
            yield Finding(self.subject, Severity.FAILURE, error.problem, error.hint or remedy)
            return
        try:
            sound = ledger.is_sound()
        finally:
            ledger.close()
        if sound:
            yield Finding(self.subject, Severity.OK, "SQLite finds no damage.")
        else:
            yield Finding(self.subject, Severity.FAILURE, "The ledger is damaged.", remedy)


@dataclass(frozen=True, slots=True)
class LastMailCheck:
    """When did mail last come, and how is each source doing?"""

    settings: Settings
    clock: Callable[[], float] = field(default=time.time)

    @property
    def subject(self) -> str:
        return "last mail"

    def look(self) -> Iterable[Finding]:
        ledger = Ledger.open_for_a_look(self.settings.state_dir)
        try:
            seen = report(self.settings, ledger)
        finally:
            ledger.close()
        now, last = self.clock(), seen.last_mail
        if last is None:
            words = "No mail has been delivered yet."
            yield Finding(self.subject, Severity.WARNING, words, ROUND_TRIP)
        elif now - last > QUIET:
            words = f"The last mail was delivered {ago(last, now)}."
            yield Finding(self.subject, Severity.WARNING, words, ROUND_TRIP)
        else:
            words = f"The last mail was delivered {ago(last, now)}."
            yield Finding(self.subject, Severity.OK, words)
        for source in seen.sources:
            if source.problem:
                words = f"{source.source}: {printable(source.problem)}"
                remedy = "See: postamt-sync status"
                yield Finding(f"source {source.source}", Severity.WARNING, words, remedy)
        stuck = seen.states.get(ObjectState.QUARANTINED, 0)
        if stuck:
            words = f"{count(stuck, 'mail')} quarantined."
            remedy = "See why with: postamt-sync quarantine list"
            yield Finding("quarantine", Severity.WARNING, words, remedy)


@dataclass(frozen=True, slots=True)
class DiskSpaceCheck:
    """Is there room on every disk that the daemon writes to?"""

    settings: Settings

    @property
    def subject(self) -> str:
        return "disk"

    def look(self) -> Iterable[Finding]:
        places = {"state_dir": self.settings.state_dir}
        places |= {mailbox.name: mailbox.maildir for mailbox in self.settings.mailboxes}
        if self.settings.backup_dir is not None:
            places["backup_dir"] = self.settings.backup_dir
        found = full({name: _existing(path) for name, path in places.items()})
        for words in found.values():
            remedy = "Make room; until then mail waits in the bucket."
            yield Finding(self.subject, Severity.FAILURE, f"{words}.", remedy)
        if not found:
            yield Finding(self.subject, Severity.OK, "There is room on every disk.")


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """Does the daemon run, and does systemd keep it running? `systemctl` returns what that prints,
    "" where it cannot be asked."""

    state_dir: Path
    systemctl: Callable[..., str]

    @property
    def subject(self) -> str:
        return "service"

    def look(self) -> Iterable[Finding]:
        holder = CourierLock.holder(self.state_dir)
        said = self.systemctl(
            "show", SERVICE, "--property=LoadState,ActiveState,SubState,UnitFileState,NRestarts"
        )
        state = dict(line.partition("=")[::2] for line in said.splitlines())
        if state.get("LoadState", "not-found") == "not-found":
            if holder:
                words = f"The daemon runs ({printable(holder)}), not under systemd."
                remedy = "Let it start with the machine: sudo postamt-sync service install"
                yield Finding(self.subject, Severity.WARNING, words, remedy)
            else:
                check_access(self.state_dir)  # else it may run, and nobody tells us
                words = "The daemon does not run here, and systemd has no service for it."
                remedy = "Install it (sudo postamt-sync service install), or let cron run sync."
                yield Finding(self.subject, Severity.WARNING, words, remedy)
            return
        active = state.get("ActiveState", "")
        if active != "active":
            words = f"systemd says that {SERVICE} is {printable(active)}."
            remedy = (
                "See why: journalctl -u postamt-sync; then: sudo systemctl restart postamt-sync"
            )
            yield Finding(self.subject, Severity.FAILURE, words, remedy)
        elif state.get("UnitFileState") == "disabled":
            words = "The daemon runs, and will not start by itself after a reboot."
            remedy = "Fix it with: sudo systemctl enable postamt-sync"
            yield Finding(self.subject, Severity.WARNING, words, remedy)
        else:
            yield Finding(self.subject, Severity.OK, "systemd keeps the daemon running.")


def _existing(path: Path) -> Path:
    """Return the path, or what there is above it: there it will be made."""
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            place.stat()
            return place
    return path
