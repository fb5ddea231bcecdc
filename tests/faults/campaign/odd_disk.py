"""File systems with ways of their own: a shim before libc, for which a C compiler is needed."""

from __future__ import annotations

import errno
import shutil
import subprocess
from pathlib import Path

COMPILER = shutil.which("cc")
SOURCE = Path(__file__).with_name("odd_disk.c")


def built(directory: Path) -> Path:
    """Return the shim, made in this directory if it is not there."""
    shim = directory / "odd_disk.so"
    if not shim.exists():
        command = [str(COMPILER), "-shared", "-fPIC", "-O2", "-o", shim, SOURCE, "-ldl"]
        subprocess.run(command, check=True)
    return shim


def environment(shim: Path, root: Path, ways: str, error: int = errno.EPERM) -> dict[str, str]:
    """Return what lets a process find the files below `root` on such a disk."""
    return {
        "LD_PRELOAD": str(shim),
        "ODD_DISK": ways,
        "ODD_ERROR": str(error),
        "ODD_ROOT": str(root),
    }
