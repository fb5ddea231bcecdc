"""A Raspberry Pi's Debian, run by an emulator: Python, and what our package requires."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.host.debian import PYTHONS, dependencies, of_platform, put_checkout, run, tarball, wheels
from tests.host.kept import kept_directory
from tests.host.machines import Machine

EMULATOR = "qemu-aarch64-static"
PYTHON = (f"/{EMULATOR}", "/usr/bin/python3")
CORTEX = "cortex-a72"
"""A Pi 4's processor; the emulator's own default is many times slower."""
OPTIONS = (
    *("--variant=extract", "--architectures=arm64"),
    "--include=python3,ca-certificates,libstdc++6",
)
BEGIN = "import os, sys; os.chdir(sys.argv[1])\n"
IMPORT_ALL = """\
import importlib
import postamt_sync.app.daemon
from postamt_sync.cli.verbs import VERBS

for verb in VERBS:
    if verb.name != "demo":  # it takes an emulator of AWS, which a Pi need not have
        importlib.import_module(verb.target.partition(":")[0])
"""


def root(suite: str) -> Machine:
    """Return a root of this release with our dependencies; nothing in it has been configured.

    Skips the test where Debian's mirror or the package index cannot be reached.
    """
    version = hashlib.sha256(repr((OPTIONS, tuple(dependencies()))).encode()).hexdigest()[:12]
    return Machine(kept_directory(f"arm64-{suite}", version, functools.partial(_make, suite)))


def python(
    machine: Machine, place: Path, script: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run a script of Python there, in `place` with the checkout, which has the same path there."""
    return subprocess.run(
        [*machine.inside(place), *PYTHON, "-c", BEGIN + script, str(place)],
        env={
            **environment,
            "QEMU_CPU": CORTEX,
            "PYTHONPATH": f"/libraries:{place}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def _make(suite: str, place: Path) -> None:
    place.mkdir()
    run("tar", "-C", str(place), "-xf", str(tarball(suite, OPTIONS)))
    if not (place / "lib").exists():
        (place / "lib").symlink_to("usr/lib")
    (place / "proc").mkdir(exist_ok=True)
    (place / "mnt").mkdir(exist_ok=True)
    shutil.copy2(shutil.which(EMULATOR) or EMULATOR, place / EMULATOR)
    kept = wheels(PYTHONS[suite], "aarch64", tools=())
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-index"),
        *(f"--find-links={kept}", f"--target={place / 'libraries'}"),
        *of_platform(PYTHONS[suite], "aarch64"),
        *dependencies(),
    )
    # To compile takes the emulator twice as long as all that is tried afterwards.
    put_checkout(place / "repo")
    set_up = {"QEMU_CPU": CORTEX, "PYTHONPATH": "/libraries:/repo", "PATH": os.environ["PATH"]}
    command = ["chroot", str(place), *PYTHON, "-c", IMPORT_ALL]
    subprocess.run(command, env=set_up, capture_output=True, check=False)
    shutil.rmtree(place / "repo")
