"""Fresh Debian systems in directories, and the wheels that are installed into them.

Both are made once and kept, as `tests/host/kept.py` does: a root filesystem for a week, wheels
until the dependencies change. What serves them is this machine's own: apt's mirror and proxy, pip's
index. Inside, pip finds the kept wheels and asks no network.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.host.kept import alone, cache, forget_old, is_old, use

REPOSITORY = Path(__file__).parents[2]
PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
"""Debian's releases that we support (those of Raspberry Pi OS 12 and 13), and their Python."""

PACKAGES = (
    "systemd,systemd-sysv,dbus,libbpf1,python3,python3-venv,ca-certificates,passwd,procps,"
    "iproute2,sudo"
)
NATIVE = ("--variant=apt", f"--include={PACKAGES}")
BUILD_TOOLS = ("hatchling", "pip", "setuptools", "wheel")
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
    run("tar", "-C", str(root), "-xf", str(tarball(suite)))
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


def wheels(
    python: str, machine: str = platform.machine(), tools: Sequence[str] = BUILD_TOOLS
) -> Path:
    """Return a directory with the wheels of all our dependencies, and of these tools."""
    wanted = (*tools, *dependencies())
    kind = f"wheels-{python}-{machine}"
    place = cache() / f"{kind}-{hashlib.sha256(repr(wanted).encode()).hexdigest()[:12]}"
    with alone(kind):
        if not place.exists():
            forget_old(f"{kind}-*")
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


def of_platform(python: str, machine: str) -> list[str]:
    """Return pip's options for wheels of another Python or processor than this one."""
    platforms = [f"--platform=manylinux{kind}_{machine}" for kind in ("_2_28", "_2_17", "2014")]
    which = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    return [*which, *platforms]


def _download(python: str, machine: str, place: Path, wanted: Sequence[str]) -> None:
    done = run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(place)),
        *of_platform(python, machine),
        *wanted,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the package index cannot be reached: {done.stderr[-300:]}")


def dependencies() -> Sequence[str]:
    """Return what the package requires, as pip takes it."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    found: list[str] = project["dependencies"]
    return found


def tarball(suite: str, options: Sequence[str] = NATIVE) -> Path:
    """Return a root of this release, packed.

    Skips the test where Debian's mirror cannot be reached.
    """
    kind = f"{suite}-{hashlib.sha256(repr(options).encode()).hexdigest()[:12]}"
    kept = cache() / f"{kind}.tar"
    with alone(kind):
        if not kept.exists() or is_old(kept):
            forget_old(f"{suite}-*.tar")
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


def mirror() -> list[str]:
    """Return the Debian mirror that this machine uses; none: mmdebstrap knows the usual one."""
    form = "$(LABEL) $(REPO_URI)"
    listed = run("apt-get", "indextargets", "--format", form, "Created-By: Packages", check=False)
    pairs = [line.split() for line in listed.stdout.splitlines()]
    return [pair[1] for pair in pairs if len(pair) == 2 and pair[0] == "Debian"][:1]
