"""Disks that tell what was done to them, break on demand, and lose what was never synced."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.delivery.disk import Disk, HeldDirectory
from postamt_sync.delivery.filesystem_sync import FilesystemWatch


@dataclass(frozen=True)
class Call:
    """One call, by the name of its method, on `path`."""

    name: str
    path: Path


@dataclass
class RecordedWatch:
    """A watch on the file system of such a disk."""

    disk: RecordingDisk
    path: Path
    failed: OSError | None = None

    def sync(self) -> None:
        if self.failed is not None:
            raise self.failed
        try:
            self.disk.sync_whole(self.path)
        except OSError as error:
            self.failed = error
            raise


class RecordingDisk(Disk):
    """The real disk; `calls` has every call in order, a file's by the path it was created at.

    Its file system can be synced as a whole for so many files as `whole_from` says, if it does.
    """

    whole_from: int | None = None

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._paths: dict[int, Path] = {}

    def before(self, name: str, path: Path) -> None:
        """Called ahead of the system call; a subclass may raise here."""

    def create(self, path: Path, at: HeldDirectory | None = None) -> int:
        self._note("create", path)
        fd = super().create(path, at)
        self._paths[fd] = path
        return fd

    def write(self, fd: int, data: bytes) -> None:
        if fd in self._paths:  # not what append_line writes
            self._note("write", self._paths[fd])
        super().write(fd, data)

    def set_times(self, fd: int, mtime: float) -> None:
        self._note("set_times", self._paths[fd])
        super().set_times(fd, mtime)

    def size(self, fd: int) -> int:
        self._note("size", self._paths[fd])
        return super().size(fd)

    def sync(self, fd: int) -> None:
        self._note("sync", self._paths[fd])
        super().sync(fd)

    def watch_filesystem(self, path: Path, files: int) -> FilesystemWatch | None:
        if self.whole_from is None or files < self.whole_from:
            return None
        self._note("watch", path)
        return RecordedWatch(self, path)

    def sync_whole(self, path: Path) -> None:
        """The real one would wait for whatever else the machine writes."""
        self._note("sync_whole", path)

    def close(self, fd: int) -> None:
        path = self._paths.pop(fd)
        # As Linux does: the descriptor is gone even where closing it fails.
        super().close(fd)
        self._note("close", path)

    def sync_directory(self, path: Path, at: HeldDirectory | None = None) -> None:
        self._note("sync_directory", path)
        super().sync_directory(path, at)

    def rename(self, old: Path, new: Path, at: HeldDirectory | None = None) -> None:
        self._note("rename", old)
        super().rename(old, new, at)

    def unlink(self, path: Path, at: HeldDirectory | None = None) -> None:
        self._note("unlink", path)
        super().unlink(path, at)

    def make_directory(self, path: Path, at: HeldDirectory | None = None) -> None:
        self._note("make_directory", path)
        super().make_directory(path, at)

    def append_line(self, path: Path, line: str, at: HeldDirectory | None = None) -> None:
        self._note("append_line", path)
        super().append_line(path, line, at)

    def names(self) -> list[str]:
        return [call.name for call in self.calls]

    def paths(self, name: str) -> list[Path]:
        return [call.path for call in self.calls if call.name == name]

    @property
    def open_files(self) -> list[Path]:
        return list(self._paths.values())

    def abandon(self) -> None:
        """Close what a dead process leaves open, as the system does."""
        for fd in self._paths:
            os.close(fd)
        self._paths.clear()

    def _note(self, name: str, path: Path) -> None:
        self.calls.append(Call(name, path))
        self.before(name, path)


@dataclass
class Fault:
    """What goes wrong: this call fails, below this path, so many times (None: until mended)."""

    name: str
    error: int
    below: Path
    times: int | None = None
    first: Callable[[], object] | None = None
    """Done right before: what someone else does to the disk at the worst moment."""


class FaultyDisk(RecordingDisk):
    """Breaks by `break_(...)` until `mend()`."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Fault] = []

    def break_(
        self,
        name: str,
        error: int,
        below: Path = Path("/"),
        times: int | None = None,
        first: Callable[[], object] | None = None,
    ) -> None:
        """Let a call fail with `error`, or with 0 only let `first` happen."""
        self.faults.append(Fault(name, error, below, times, first))

    def mend(self) -> None:
        self.faults.clear()

    def before(self, name: str, path: Path) -> None:
        for fault in self.faults:
            if fault.name == name and path.is_relative_to(fault.below) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                if fault.first is not None:
                    fault.first()
                if fault.error:
                    raise OSError(fault.error, os.strerror(fault.error), str(path))


class PowerCut(BaseException):
    """The machine is off: nobody catches this."""


class VolatileDisk(FaultyDisk):
    """Keeps in mind what is not synced yet, and loses it when the power is cut.

    While `off` every call raises PowerCut: a dead machine cleans nothing up.
    """

    def __init__(self) -> None:
        super().__init__()
        self.off = False
        self._dirty: set[Path] = set()
        self._created: list[Path] = []
        self._renamed: list[tuple[Path, Path]] = []

    def before(self, name: str, path: Path) -> None:
        if self.off:
            raise PowerCut(name)
        super().before(name, path)

    def create(self, path: Path, at: HeldDirectory | None = None) -> int:
        fd = super().create(path, at)
        self._created.append(path)
        self._dirty.add(path)
        return fd

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self._dirty.discard(self._paths[fd])

    def sync_whole(self, path: Path) -> None:
        super().sync_whole(path)
        self.forget()

    def sync_directory(self, path: Path, at: HeldDirectory | None = None) -> None:
        super().sync_directory(path, at)
        self._created = [p for p in self._created if p.parent != path]
        self._renamed = [(old, new) for old, new in self._renamed if new.parent != path]

    def rename(self, old: Path, new: Path, at: HeldDirectory | None = None) -> None:
        super().rename(old, new, at)
        self._renamed.append((old, new))
        if old in self._dirty:
            self._dirty ^= {old, new}

    def lose(self) -> None:
        """What a power cut does, at its worst, to whatever was not synced."""
        for path in self._dirty:
            if path.is_file():
                path.write_bytes(b"")
        for old, new in reversed(self._renamed):
            # Where a client has moved the file on, its own sync has made both durable.
            if new.exists() and old.parent.is_dir():
                new.rename(old)
        for path in self._created:
            if path.is_file():
                path.unlink()
        self.forget()

    def next_boot(self) -> VolatileDisk:
        """Return the same disk for the next process; what is left of this one stays `off`."""
        disk = VolatileDisk()
        disk.faults, disk.whole_from = self.faults, self.whole_from
        disk._dirty, disk._created, disk._renamed = self._dirty, self._created, self._renamed
        return disk

    def forget(self) -> None:
        """The kernel has written everything back by now."""
        self._dirty.clear()
        self._created.clear()
        self._renamed.clear()
