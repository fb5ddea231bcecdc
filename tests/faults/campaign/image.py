"""A small disk of its own in a file, which can lose its power, be full, or be read-only.

The power cut is ext4's own: the file system is shut down at once, with nothing written that was not
on the disk yet, and mounted again (EXT4_IOC_SHUTDOWN, as file system developers test it).
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EIO, ENOSPC
from pathlib import Path

SHUTDOWN = 0x8004587D
"""_IOR('X', 125, __u32)"""
NOTHING_WRITTEN = 2
"""Not even the journal: what a loss of power leaves."""
LET_GO_WITHIN = 20.0
GUARD = 'tail --pid="$0" -f /dev/null; exec umount --lazy "$1"'
"""Takes the disk away after a process that was killed, which cannot do it itself."""


class Image:
    """An ext4 file system in `file`, mounted at `place`."""

    def __init__(self, file: Path, place: Path) -> None:
        self.place = place
        self._file = file
        self.is_dead = False
        """Whether its power is lost; what is in a cache can be read all the same."""

    def lose_power(self) -> None:
        """From here on every access fails, and what was not synced is lost."""
        self.is_dead = True
        fd = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NOTHING_WRITTEN))
        finally:
            os.close(fd)

    def mount(self) -> None:
        """Start it up again. What was on the disk is there, whoever else has it mounted.

        A container that was started meanwhile has mounts of its own, copies of all of ours. While
        it runs the system knows the dead file system still, and would only mount that again.
        """
        self._mount()
        if not self._answers():
            self.unmount()
            copy = self._file.with_suffix(f".{time.monotonic_ns()}.ext4")
            subprocess.run(["cp", "--sparse=always", self._file, copy], check=True)
            self._file.unlink()
            self._file = copy
            self._mount()
        self.is_dead = False

    def remove(self) -> None:
        self._file.unlink()

    def _mount(self) -> None:
        subprocess.run(["mount", "-o", "loop", self._file, self.place], check=True)

    def _answers(self) -> bool:
        trial = self.place / "trial"
        try:
            trial.touch()
            trial.unlink()
        except OSError as error:
            if error.errno == EIO:
                return False
            if error.errno not in {ENOSPC, EDQUOT}:
                raise
        return True

    def unmount(self) -> None:
        """Wait for those who still have files of it open: mounted twice, it would be ruined."""
        end = time.monotonic() + LET_GO_WITHIN
        while subprocess.run(["umount", self.place], capture_output=True, check=False).returncode:
            if time.monotonic() > end:
                subprocess.run(["umount", "--lazy", self.place], check=True)
                raise AssertionError(f"something holds {self.place}")
            time.sleep(0.05)

    def fill(self) -> None:
        """Leave no room for a mail; a disk that is read-only or dead just now has none anyway."""
        with suppress(OSError), self._filler.open("wb") as stream:
            end = 0
            for size in (64 << 20, 4 << 20, 256 << 10, 4096):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(stream.fileno(), end, size)
                        end += size

    def use_up_inodes(self) -> None:
        """Leave room in which no new file can be made; as `fill` on a disk that is dead."""
        with suppress(OSError):
            self._files.mkdir(exist_ok=True)
            for number in itertools.count():
                (self._files / str(number)).touch()

    @property
    def is_full(self) -> bool:
        try:
            disk = os.statvfs(self.place)
        except OSError:
            return False
        return disk.f_bavail < 4 or disk.f_favail == 0

    @property
    def takes_files(self) -> bool:
        """Whether many files can be written to it just now."""
        return not (self.is_dead or self.is_full or os.statvfs(self.place).f_flag & os.ST_RDONLY)

    def make_room(self) -> None:
        with suppress(OSError):  # on a disk that died meanwhile
            self._filler.unlink(missing_ok=True)
        shutil.rmtree(self._files, ignore_errors=True)

    def remount(self, options: str) -> bool:
        """False if someone who writes does not let it become read-only."""
        command = ["mount", "-o", f"remount,{options}", self.place]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    @property
    def _filler(self) -> Path:
        return self.place / "filler"

    @property
    def _files(self) -> Path:
        return self.place / "files"


@contextmanager
def mounted(file: Path, place: Path, megabytes: int) -> Iterator[Image]:
    """Make an image and keep it mounted at `place`."""
    place.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", file], check=True)
    image = Image(file, place)
    image.mount()
    guard = subprocess.Popen(
        ["sh", "-c", GUARD, str(os.getpid()), place],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield image
    finally:
        image.unmount()
        os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()
        image.remove()
