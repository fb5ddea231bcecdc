"""Fresh Debian systems in directories, and the wheels that are installed into them.

Both are made once and kept below the user's cache directory: a root filesystem for a week, wheels
until the dependencies change. What serves them is this machine's own: apt's mirror and proxy, pip's
index. Inside, pip finds the kept wheels and asks no network.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import pytest

REPOSITORY = Path(__file__).parents[2]
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
"""Debian's releases that we support (those of Raspberry Pi OS 12 and 13), and their Python."""

PACKAGES = (
    "systemd,systemd-sysv,dbus,libbpf1,python3,python3-venv,ca-certificates,passwd,procps,"
    "iproute2,sudo"
)
NATIVE = ("--variant=apt", f"--include={PACKAGES}")
ARM64 = ("--variant=extract", "--architectures=arm64", "--include=python3,ca-certificates")
ARM64_TOOLS = ("hypothesis", "pytest")
EMULATOR = "qemu-aarch64-static"
BUILD_TOOLS = ("hatchling", "pip", "setuptools", "wheel")
KEEP_SECONDS = 7 * 86_400
INSIDE = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    **{k: v for k, v in os.environ.items() if k.lower() in {"http_proxy", "https_proxy"}},
}
"""The environment of commands in a root."""


def missing() -> str:
    """Say why no root can be made on this machine; empty if one can."""
    if os.geteuid() != 0:
        return "Debian roots and containers need root"
    lacking = [tool for tool in ("mmdebstrap", "systemd-nspawn") if shutil.which(tool) is None]
    if lacking:
        return f"not installed: {', '.join(lacking)} (apt install mmdebstrap systemd-container)"
    return ""


needs_debian = [
    pytest.mark.root,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
]
"""Set `pytestmark = needs_debian` in a module that makes a root."""


def unpack(suite: str, root: Path) -> None:
    """Make a fresh root of this release, Python in it, our wheels at /wheels.

    Skips the test where Debian's mirror or the package index cannot be reached.
    """
    root.mkdir()
    run("tar", "-C", str(root), "-xf", str(_tarball(suite)))
    shutil.copytree(wheels(PYTHONS[suite]), root / "wheels")
    # sudo passes no environment on, so this stands in a file.
    (root / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")


def put_checkout(place: Path) -> None:
    """Copy what is in the repository, without what was installed beside it."""
    listed = run("git", "-C", str(REPOSITORY), "ls-files", "-co", "--exclude-standard")
    for name in listed.stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, place / name)


def unpack_arm64(suite: str, root: Path) -> None:
    """Lay out Python and our dependencies for arm64; nothing in it has been run or configured.

    Skips the test where Debian's mirror or the package index cannot be reached.
    """
    root.mkdir()
    run("tar", "-C", str(root), "-xf", str(_tarball(suite, ARM64)))
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    shutil.copy2(shutil.which(EMULATOR) or EMULATOR, root / EMULATOR)
    kept = wheels(PYTHONS[suite], "aarch64", ARM64_TOOLS)
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-index"),
        *(f"--find-links={kept}", f"--target={root / 'libraries'}"),
        *_platform(PYTHONS[suite], "aarch64"),
        *(*ARM64_TOOLS, *_dependencies()),
    )


def wheels(
    python: str, machine: str = platform.machine(), tools: Sequence[str] = BUILD_TOOLS
) -> Path:
    """Return a directory with the wheels of all our dependencies, and of these tools."""
    wanted = (*tools, *_dependencies())
    kind = f"wheels-{python}-{machine}"
    place = cache() / f"{kind}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:12]}"
    with alone(kind):
        if not place.exists():
            _forget_old(f"{kind}-*")
            scratch = cache() / f"{kind}-scratch"
            _download(python, machine, scratch, wanted)
            scratch.replace(place)
        use(place.name)
    return place


def run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of this machine."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done


def _platform(python: str, machine: str) -> list[str]:
    platforms = [f"--platform=manylinux{kind}_{machine}" for kind in ("_2_28", "_2_17", "2014")]
    which = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    return [*which, *platforms]


def _download(python: str, machine: str, place: Path, wanted: Sequence[str]) -> None:
    done = run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(place)),
        *_platform(python, machine),
        *wanted,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the package index cannot be reached: {done.stderr[-300:]}")


def _dependencies() -> Sequence[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    found: list[str] = project["dependencies"]
    return found


def _tarball(suite: str, options: Sequence[str] = NATIVE) -> Path:
    kind = f"{suite}-{hashlib.sha256(repr(options).encode()).hexdigest()[:12]}"
    kept = cache() / f"{kind}.tar"
    with alone(kind):
        if not kept.exists() or is_old(kept):
            _forget_old(f"{suite}-*.tar")
            scratch = cache() / f"{kind}-scratch.tar"
            done = run(
                *("mmdebstrap", "--mode=root", *options, suite, str(scratch), *mirror()),
                check=False,
            )
            if done.returncode:
                pytest.skip(f"no root of {suite} can be made: {done.stderr[-300:]}")
            scratch.replace(kept)
        use(kept.name)
    return kept


def _forget_old(pattern: str) -> None:
    """Remove what was kept too long; others may still read what is newer."""
    for path in filter(is_old, cache().glob(pattern)):
        if unused(path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def is_old(path: Path) -> bool:
    """Tell whether this was kept long enough."""
    return time.time() - path.stat().st_mtime > KEEP_SECONDS


def mirror() -> list[str]:
    """Return the Debian mirror that this machine uses; none: mmdebstrap knows the usual one."""
    form = "$(LABEL) $(REPO_URI)"
    listed = run("apt-get", "indextargets", "--format", form, "Created-By: Packages", check=False)
    pairs = [line.split() for line in listed.stdout.splitlines()]
    return [pair[1] for pair in pairs if len(pair) == 2 and pair[0] == "Debian"][:1]


def cache() -> Path:
    """Return the directory of the user's in which tests keep what takes long to make."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(base, "postamt-sync-tests")
    place.mkdir(parents=True, exist_ok=True)
    return place


@contextmanager
def alone(what: str) -> Iterator[None]:
    """Let one process at a time make this."""
    with (cache() / f".{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


_in_use: dict[str, TextIO] = {}


def use(name: str) -> None:
    """Keep this in the cache for as long as this process runs, whoever cleans up there."""
    if name not in _in_use:
        _in_use[name] = (cache() / f".{name}.use").open("w")
        fcntl.flock(_in_use[name], fcntl.LOCK_SH)


def unused(name: str) -> bool:
    """Tell whether no process uses this; who asks holds the lock of its kind, see `alone`."""
    with (cache() / f".{name}.use").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
