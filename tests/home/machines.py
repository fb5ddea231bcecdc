"""The Dovecots that the tests run against: the installed one, and Debian 13's in a root of its own.

The root is made once in `.roots` of the checkout, with root's rights and a network; without them
its tests are skipped and say why.
"""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from postamt_sync.home.dovecot import Version

ROOTS = Path(__file__).parents[2] / ".roots"
TRIXIE = ROOTS / "dovecot-trixie"
PACKAGES = "dovecot-imapd,dovecot-lmtpd,dovecot-submissiond,dovecot-sieve"
ELSEWHERE = "/usr/sbin:/sbin"


@dataclass(frozen=True)
class Machine:
    """A Dovecot, and the root directory that it sees."""

    root: Path

    @property
    def is_ours(self) -> bool:
        return self.root == Path("/")

    @property
    def version(self) -> Version:
        said = subprocess.run(
            [*self.inside(Path("/tmp")), "dovecot", "--version"],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
        ).stdout
        return Version(said[:3])

    def inside(self, base: Path) -> list[str]:
        """Return what stands before a command to run it here, with `base` at its own path."""
        if self.is_ours:
            return []
        there = self.root / base.relative_to("/")
        enter = f'mount --bind "{base}" "{there}" && exec chroot "{self.root}" "$@"'
        there.mkdir(parents=True, exist_ok=True)
        return ["unshare", "--mount", "sh", "-c", enter, "sh"]

    def gid(self, group: str) -> int:
        lines = (self.root / "etc/group").read_text().splitlines()
        (gid,) = (line.split(":")[2] for line in lines if line.startswith(f"{group}:"))
        return int(gid)

    def has(self, program: str) -> bool:
        return (self.root / "usr/lib/dovecot" / program).exists()


def environment() -> dict[str, str]:
    return {"PATH": f"{os.environ.get('PATH', os.defpath)}:{ELSEWHERE}", "LANG": "C.UTF-8"}


def installed() -> Machine:
    if shutil.which("dovecot", path=environment()["PATH"]) is None:
        pytest.skip("Dovecot is not installed: sudo apt install dovecot-imapd")
    return Machine(Path("/"))


def trixie() -> Machine:
    if os.geteuid() != 0:
        pytest.skip("Dovecot 2.4 runs in a root of its own, which needs root's rights")
    if shutil.which("mmdebstrap") is None:
        pytest.skip("Dovecot 2.4 needs a root made by: sudo apt install mmdebstrap")
    if wrong := _make_trixie():
        pytest.skip(f"the root for Dovecot 2.4 could not be made: {wrong}")
    return Machine(TRIXIE)


@functools.cache
def _make_trixie() -> str:
    """Make the root unless it is there; return what went wrong."""
    ROOTS.mkdir(exist_ok=True)
    with (ROOTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if TRIXIE.is_dir():
            return ""
        draft = ROOTS / "draft"
        shutil.rmtree(draft, ignore_errors=True)
        command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=essential"]
        made = subprocess.run(
            [*command, f"--include={PACKAGES}", "trixie", draft, "http://deb.debian.org/debian"],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            return (made.stderr.strip().splitlines() or ["mmdebstrap said nothing"])[-1]
        (draft / "etc/hosts").write_text("127.0.0.1 localhost\n")
        draft.rename(TRIXIE)
        return ""


MACHINES = {"installed": installed, "debian-13": trixie}
