"""The systemd service of one machine: the steps that install it and those that remove it.

The shipped units are installed as they are; what differs from machine to machine goes into drop-ins
made from the configuration. Nothing that contains mail, keys or settings is ever removed.
"""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from postamt_sync.config import Settings
from postamt_sync.config.load import DEFAULT_PATH
from postamt_sync.errors import MisconfiguredError
from postamt_sync.host.service.certificate import Pair, webhook_host, webhook_pair
from postamt_sync.host.service.program import PACKAGE, hidden, shipped
from postamt_sync.host.service.sealed_files import SealedFile
from postamt_sync.host.service.steps import (
    InstallStep,
    Leave,
    Make,
    Remove,
    Run,
    Take,
    Write,
    to_remove,
    to_write,
)
from postamt_sync.host.service.units import (
    STATE_DIR,
    Machine,
    service_dropin,
    socket_addresses,
    socket_dropin,
    written,
)
from postamt_sync.ledger.ledger import was_there_once

SERVICE, SOCKET = "postamt-sync.service", "postamt-sync.socket"
DROPIN = "10-this-machine.conf"
EXAMPLE = "50-local.conf.example"
SYSTEMCTL_SECONDS = 20.0
SHIPPED_USER = "postamt-sync"
SHIPPED_COMMAND = "/usr/local/bin/postamt-sync"


@dataclass(frozen=True, slots=True)
class SystemdService:
    """The service on this machine. `etc` is /etc, or elsewhere in tests; `manual` is the man page
    to install, empty for none."""

    settings: Settings
    machine: Machine
    etc: Path = field(default=Path("/etc"))
    manual: str = field(default="", repr=False)

    def install(self, *, start: bool, running: bool) -> list[InstallStep]:
        """Return the steps that install the service and, with `start`, start it.

        `running` says that it already runs as installed. Raises MisconfiguredError if a service
        could not use the configured paths.
        """
        self._refuse_hidden_paths()
        files = [to_write(file) for file in self._files()]
        stale = [] if self._has_socket else [step for f in self._socket_files if (step := _gone(f))]
        steps: list[InstallStep] = [
            *files,
            Run(["systemd-sysusers", str(self._sysusers.path)]),
            Run(["systemd-tmpfiles", "--create", str(self._tmpfiles.path)]),
            *self._directories(),
            *self._certificate(),
        ]
        units = [SOCKET, SERVICE] if self._has_socket else [SERVICE]
        if stale:
            steps += [Run(["systemctl", "disable", "--now", SOCKET]), *stale]
        if stale or any(isinstance(step, Write) for step in files) or not running:
            steps.append(Run(["systemctl", "daemon-reload"]))
            steps.append(Run(["systemctl", "enable", *units]))
            if start:  # systemd cannot open a socket for a service that is already running
                steps.append(Run(["systemctl", "stop", SERVICE, *units[:-1]]))
                steps.append(Run(["systemctl", "start", *units]))
        return steps

    @property
    def _systemd(self) -> Path:
        return self.etc / "systemd/system"

    @property
    def _has_socket(self) -> bool:
        return bool(socket_addresses(self.settings))

    @property
    def _sysusers(self) -> SealedFile:
        text = shipped("sysusers.d/postamt-sync.conf")
        text = text.replace(f"\nu {SHIPPED_USER} ", f"\nu {self.machine.user} ")
        return SealedFile.of(self.etc / "sysusers.d/postamt-sync.conf", text)

    @property
    def _tmpfiles(self) -> SealedFile:
        text = shipped("tmpfiles.d/postamt-sync.conf")
        text = text.replace(f" root {SHIPPED_USER}\n", f" root {self.machine.group}\n")
        return SealedFile.of(self.etc / "tmpfiles.d/postamt-sync.conf", text)

    @property
    def _socket_files(self) -> list[SealedFile]:
        addresses = socket_addresses(self.settings)
        dropin = self._systemd / f"{SOCKET}.d" / DROPIN
        return [
            SealedFile.of(self._systemd / SOCKET, shipped(SOCKET)),
            SealedFile.of(dropin, socket_dropin(addresses)),
        ]

    def _files(self) -> Iterator[SealedFile]:
        dropins = self._systemd / f"{SERVICE}.d"
        yield SealedFile.of(self._systemd / SERVICE, shipped(SERVICE))
        yield SealedFile.of(dropins / DROPIN, service_dropin(self.settings, self.machine))
        yield SealedFile.of(dropins / EXAMPLE, shipped(EXAMPLE))
        if self._has_socket:
            yield from self._socket_files
        if self.manual:
            yield SealedFile.of(manual_place(self.etc), self.manual, comment='.\\"')
        yield self._sysusers
        yield self._tmpfiles
        if webhook_pair(self.settings) is not None:
            yield self._hook(self.etc / "postamt-sync/certificate-renewed", "certificate-renewed")
            if (self.etc / "letsencrypt").is_dir():
                hooks = self.etc / "letsencrypt/renewal-hooks/deploy"
                yield self._hook(hooks / "postamt-sync", "certbot-renewed")

    def _hook(self, path: Path, name: str) -> SealedFile:
        source = Path(self.settings.source)
        verb = "service certificate"
        command = shlex.quote(str(self.machine.program.command))
        config = "" if source == DEFAULT_PATH else f" --config {shlex.quote(str(source))}"
        text = shipped(name).replace(SHIPPED_COMMAND, command)
        return SealedFile.of(path, text.replace(f"sync {verb}", f"sync {verb}{config}"), 0o755)

    def _directories(self) -> Iterator[InstallStep]:
        backup = self.settings.backup_dir
        if backup is not None and not backup.exists():
            make = f"mount its disk, or: install -d -o {self.machine.user} -m 700 {backup}"
            yield Leave(backup, f"is not there; {make}")
        for path in (self.settings.state_dir, *(m.maildir for m in self.settings.mailboxes)):
            if path != STATE_DIR and not path.exists():
                if was_there_once(self.settings.state_dir, path):
                    yield Leave(path, "was there once, so its disk is not mounted; mount it")
                else:
                    yield Make(path, self.machine.user)

    def _certificate(self) -> Iterator[InstallStep]:
        target = webhook_pair(self.settings)
        lineage = self.etc / "letsencrypt/live" / webhook_host(self.settings)
        source = Pair(lineage / "fullchain.pem", lineage / "privkey.pem")
        if target is not None and not target.chain.exists() and source.chain.exists():
            yield Take(source, target, self.machine.group)

    def _refuse_hidden_paths(self) -> None:
        pair = webhook_pair(self.settings)
        tls = [] if pair is None else [pair.chain, pair.key]
        for path in tls:
            if hidden(path) or path.is_relative_to(self.etc / "letsencrypt"):
                raise MisconfiguredError(
                    f"The service cannot read {path}: only root can.",
                    f"Set webhook.tls_certificate and webhook.tls_key to files in "
                    f"{self.etc / 'postamt-sync/tls'}; renewals are copied there.",
                )
        for path in (Path(self.settings.source), self.settings.state_dir):
            if hidden(path):
                raise MisconfiguredError(
                    f"The service cannot see {path}: it has no access to home directories.",
                    f"Move it, the configuration to {DEFAULT_PATH}, "
                    "the state directory to /var/lib/postamt-sync.",
                )
        for path in (*written(self.settings), *self.machine.program.places):
            if hidden(path) and ":" in str(path):
                raise MisconfiguredError(
                    f"systemd cannot show {path} to a service: there is a colon in it.",
                    "Move it to a path without a colon.",
                )


def manual_place(etc: Path) -> Path:
    """Return where man(1) looks for pages that an administrator installed."""
    return etc.parent / "usr/local/share/man/man1/postamt-sync.1"


def removal(etc: Path = Path("/etc")) -> list[InstallStep]:
    """Return the steps that remove what `install` wrote, except for edited files.

    They do not depend on the configuration, which may be gone or broken by then.
    """
    systemd = etc / "systemd/system"
    places = (
        systemd / SERVICE,
        systemd / f"{SERVICE}.d" / DROPIN,
        systemd / f"{SERVICE}.d" / EXAMPLE,
        systemd / SOCKET,
        systemd / f"{SOCKET}.d" / DROPIN,
        etc / "sysusers.d/postamt-sync.conf",
        etc / "tmpfiles.d/postamt-sync.conf",
        etc / "postamt-sync/certificate-renewed",
        etc / "postamt-sync/imap-certificate-renewed",
        etc / "letsencrypt/renewal-hooks/deploy/postamt-sync",
        etc / "letsencrypt/renewal-hooks/deploy/postamt-sync-imap",
        manual_place(etc),
    )
    found = [step for place in places if (step := to_remove(SealedFile.of(place, "")))]
    stop: list[InstallStep] = [
        Run(["systemctl", "disable", "--now", name])
        for name in (SOCKET, SERVICE)
        if (systemd / name).exists()
    ]
    return [*stop, *found, *([Run(["systemctl", "daemon-reload"])] if stop else [])]


def _boot() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def systemctl(*arguments: str) -> str:
    """Return what systemctl prints; "" if it cannot be run."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            ["systemctl", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=SYSTEMCTL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def runs_as_installed(
    ask: Callable[..., str] = systemctl, package: Path = PACKAGE, clock: Callable[[], float] = _boot
) -> bool:
    """Whether the daemon is running, and is the program that is installed now: one started before
    an upgrade is not."""
    if ask("is-active", SERVICE) != "active":
        return False
    began = ask("show", "--value", "--property=ExecMainStartTimestampMonotonic", SERVICE)
    if not began.isdecimal():
        return True
    age = clock() - int(began) / 1e6
    return (package / "__init__.py").stat().st_ctime < time.time() - age


def _gone(file: SealedFile) -> Remove | None:
    step = to_remove(file)
    return step if isinstance(step, Remove) else None
