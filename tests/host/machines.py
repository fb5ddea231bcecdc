"""The Dovecots that the tests run against: the installed one, and Debian 13's in a root of its own.

The root is kept below the user's cache directory for a week. It is made with root's rights and a
network; without them its tests are skipped and say why.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from postamt_sync.host.dovecot.description import Version
from tests.host.debian import mirror, run
from tests.host.kept import kept_directory

PACKAGES = "dovecot-imapd,dovecot-lmtpd,dovecot-submissiond,dovecot-sieve"
LAYERED = """\
layer="$0/mnt"
mount -t tmpfs tmpfs "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
mount -t overlay overlay -o "lowerdir=$0,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
mkdir -p "$layer/root$1"
mount --bind "$1" "$layer/root$1"
there="$layer/root"
shift
exec chroot "$there" "$@"
"""
"""In a mount namespace: the root $0 under a layer in memory, the directory $1 at its own path."""

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
        """Return what stands before a command to run it here, with `base` at its own path.

        Others use the same root at the same time: what is written goes to a layer above it, which
        is gone with the command.
        """
        if self.is_ours:
            return []
        return ["unshare", "--mount", "sh", "-euc", LAYERED, str(self.root), str(base)]

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
    root, wrong = _trixie_root()
    if wrong:
        pytest.skip(f"the root for Dovecot 2.4 could not be made: {wrong}")
    return Machine(root)


@functools.cache
def _trixie_root() -> tuple[Path, str]:
    """Return the root, made unless it is there and fresh, and what went wrong."""
    version = hashlib.sha256(PACKAGES.encode()).hexdigest()[:12]
    try:
        return kept_directory("dovecot-trixie", version, _make_trixie), ""
    except ChildProcessError as error:
        return Path(), str(error)


def _make_trixie(root: Path) -> None:
    command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=essential"]
    made = run(*command, f"--include={PACKAGES}", "trixie", str(root), *mirror(), check=False)
    if made.returncode:
        said = made.stderr.strip().splitlines() or ["mmdebstrap said nothing"]
        raise ChildProcessError(said[-1])
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")


MACHINES = {"installed": installed, "debian-13": trixie}
