"""A Debian that its own systemd has booted, in a container on this machine's network."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.host.debian import INSIDE

PATIENCE = 60.0
FLAGS = (
    "--quiet",
    "--register=no",
    "--keep-unit",
    # With these two, systemd inside can also enforce what it does by BPF.
    "--capability=CAP_BPF,CAP_NET_ADMIN",
    "--system-call-filter=bpf",
    "--resolv-conf=off",
    "--timezone=off",
    "--link-journal=no",
    "--console=pipe",
)

ENTER = 'n=$0; while [ "$n" -gt 0 ]; do echo $$ >"$1"; shift; n=$((n - 1)); done; exec "$@"'
"""Enters as many control groups as $0 says, then becomes the command after them."""


class Container:
    """A running system; `root` is its / as seen from here."""

    def __init__(self, root: Path, init: int) -> None:
        self.root = root
        self._init = init

    @property
    def init(self) -> int:
        """Its first process, as this machine numbers it."""
        return self._init

    def do(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root."""
        done = subprocess.run(
            ["nsenter", f"--target={self._init}", "--all", "--root", "--wd", *command],
            env=INSIDE,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def said(self, *command: str) -> str:
        """Run a command and return what it prints."""
        return self.do(*command).stdout.strip()

    def shell(self, script: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.do("bash", "-euc", script, check=check)

    def property(self, unit: str, name: str) -> str:
        """Return what systemd knows of a unit."""
        return self.said("systemctl", "show", "--value", f"--property={name}", unit)

    def journal(self, unit: str = "postamt-sync.service") -> str:
        return self.said("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")


@contextmanager
def booted(root: Path) -> Iterator[Container]:
    """Boot the system in `root`; it is shut down in the end."""
    log = root.with_name(f"{root.name}.console")
    name = f"test-{secrets.token_hex(4)}"
    with log.open("wb") as console, _control_groups(name) as groups:
        nspawn = subprocess.Popen(
            [
                *("sh", "-euc", ENTER, str(len(groups)), *(f"{g}/cgroup.procs" for g in groups)),
                *("systemd-nspawn", f"--directory={root}", f"--machine={name}"),
                *(*FLAGS, "--boot"),
            ],
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
        try:
            wait_until(lambda: _init_of(nspawn), lambda: log.read_text(errors="replace"))
            container = Container(root, _init_of(nspawn))
            wait_until(lambda: _is_up(container), lambda: log.read_text(errors="replace"))
            yield container
        finally:
            _shut_down(nspawn)


@contextmanager
def _control_groups(name: str) -> Iterator[list[Path]]:
    """Make control groups for one container alone, below those that we are in.

    systemd-nspawn puts a container into `payload` below its own group. Two of them in one group
    would be one container to both: each systemd finds the other's processes in its services.
    """
    groups = [group / name for group in _our_groups()]
    for group in groups:
        group.mkdir()
    try:
        yield groups
    finally:
        for group in groups:
            for directory, _, _ in os.walk(group, topdown=False):
                Path(directory).rmdir()


def _our_groups() -> Iterator[Path]:
    """Yield the groups that systemd reads: of version 2, and where there is both, its own of 1."""
    top = Path("/sys/fs/cgroup")
    unified = top / "unified" if (top / "unified").is_dir() else top
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        mounted = {"": unified, "name=systemd": top / "systemd"}.get(controllers)
        if mounted is not None and (mounted / "cgroup.procs").exists():
            yield mounted / path.lstrip("/")


def wait_until(true: Callable[[], object], what: Callable[[], str]) -> None:
    """Wait until something is true."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"it never came: {what()}"
        time.sleep(0.05)


def _init_of(nspawn: subprocess.Popen[bytes]) -> int:
    """Return the container's first process as this machine numbers it; 0 while there is none."""
    assert nspawn.poll() is None, "systemd-nspawn has ended"
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children").read_text().split()
    for child in children:
        status = Path(f"/proc/{child}/status").read_text()
        numbers = re.search(r"^NSpid:\s*(.*)$", status, re.MULTILINE)
        if numbers and numbers[1].split()[-1] == "1" and len(numbers[1].split()) > 1:
            return int(child)
    return 0


def _is_up(container: Container) -> bool:
    done = container.do("systemctl", "is-system-running", check=False)
    return done.stdout.strip() in {"running", "degraded"}


def _shut_down(nspawn: subprocess.Popen[bytes]) -> None:
    if nspawn.poll() is None:
        if init := _init_of(nspawn):
            os.kill(init, signal.SIGRTMIN + 4)
        try:
            nspawn.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            nspawn.kill()
            nspawn.wait()
