"""A stand-in for a slow disk: each flush takes longer, and is counted.

A library that is loaded before all others (LD_PRELOAD) stands before fsync, fdatasync and syncfs.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void told(const char *name) {
    const char *path = getenv("FLUSHES"), *slow = getenv("FLUSH_MILLISECONDS");
    if (path) {
        int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        if (fd >= 0) { if (write(fd, name, 1)) {} close(fd); }
    }
    if (slow) {
        long ms = atol(slow);
        struct timespec rest = {ms / 1000, (ms % 1000) * 1000000};
        nanosleep(&rest, 0);
    }
}
#define FLUSH(name, letter) \
    int name(int fd) { \
        static int (*real)(int); \
        if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, #name); \
        told(letter); \
        return real(fd); \
    }
FLUSH(fsync, "f")
FLUSH(fdatasync, "d")
FLUSH(syncfs, "s")
"""


class SlowDisk:
    """Compiled into `place`; needs a C compiler."""

    def __init__(self, place: Path, milliseconds: int = 0) -> None:
        self._library = place / "slow_disk.so"
        self._counted = place / "flushes"
        self._milliseconds = milliseconds
        compiler = shutil.which("cc")
        if compiler is None:
            raise SystemExit("There is no C compiler: sudo apt install gcc libc6-dev")
        command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(self._library), "-ldl"]
        subprocess.run(command, input=SOURCE.encode(), check=True)

    def environment(self) -> dict[str, str]:
        """Return the variables that make a process flush so slowly; counting starts over."""
        self._counted.write_bytes(b"")
        variables = {"LD_PRELOAD": str(self._library), "FLUSHES": str(self._counted)}
        if self._milliseconds:
            variables["FLUSH_MILLISECONDS"] = str(self._milliseconds)
        return variables

    def flushes(self) -> dict[str, int]:
        """Return how often each call was made."""
        counted = self._counted.read_bytes()
        names = {"fsync": b"f", "fdatasync": b"d", "syncfs": b"s"}
        return {name: counted.count(letter) for name, letter in names.items()}
