"""Whether a file that this process has open is still at its path, and still as it was written.

Deleting or replacing a file takes it from its path, but not from a process that has it open. That
process would go on writing, durably, into a file that nobody will ever find.

`cp` overwrites the file that is there: path and inode stay the same, and SQLite mixes what it finds
with what it has in its cache. That shows if the file became shorter, or if its header lacks the
mark of this opening, which none of our copies has.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from postamt_sync.errors import TryLaterError

_Identity = tuple[int, int]
"""Device and inode. No other file can have the same ones while this one is open."""


@dataclass
class OpenFile:
    """One open file."""

    path: Path
    identity: _Identity

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the file at `path`, which this process has just opened by that path.

        Raises TryLaterError if another file is there by now, or none.
        """
        try:
            identity = _identity(path.stat())
        except OSError as error:
            raise _taken_away(path) from error
        # Another file may have been put there since it was opened.
        here = _open_here()
        if here and identity not in here:
            raise _taken_away(path)
        return cls(path, identity)

    def problem(self) -> str:
        """Return what is wrong with the file or its path, "" if nothing is. One system call."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return "deleted"
        except OSError as error:
            return f"out of reach ({error.strerror})"
        return self.problem_of(found) if _identity(found) == self.identity else "replaced"

    def problem_of(self, found: os.stat_result) -> str:  # noqa: ARG002
        """Return what is wrong with the file itself, which is at its path, "" if nothing is."""
        return ""

    def is_at(self, path: Path) -> bool:
        """Tell whether a path names this file."""
        try:
            return _identity(path.stat()) == self.identity
        except OSError:
            return False

    def has_a_name(self) -> bool:
        """Tell whether the file has any path at all. If not, it is gone when this process ends."""
        return any(os.fstat(fd).st_nlink for fd in self.descriptors())

    def descriptors(self) -> list[int]:
        """Return the descriptors by which this process has the file open. They are SQLite's.

        Empty if the file is closed, or if that cannot be found out (without /proc).
        """
        return _open_here().get(self.identity, [])


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _open_here() -> dict[_Identity, list[int]]:
    # SQLite does not tell its descriptors, and one of our own could never be closed: that would end
    # all locks that this process has on the file.
    found: dict[_Identity, list[int]] = {}
    try:
        entries = list(Path("/proc/self/fd").iterdir())
    except OSError:  # no /proc, as in a bare chroot: then paths have to be trusted
        return found
    for entry in entries:
        with contextlib.suppress(OSError):  # closed meanwhile
            found.setdefault(_identity(entry.stat()), []).append(int(entry.name))
    return found


def _taken_away(path: Path) -> TryLaterError:
    return TryLaterError(
        f"The file {path} was deleted or replaced while it was being opened.", "Try it again."
    )


MAGIC = b"SQLite format 3\0"
MARK_AT = 68
"""Offset of the application id. "The SQLite Database File Format", 1.3"""


@dataclass
class OpenDatabase(OpenFile):
    """An SQLite database in WAL mode, which grows and changes by checkpoints only."""

    mark: int | None = None
    """The application id that this opening gave to it, None until the file has it."""
    _size: int = 0
    _descriptor: int = -1

    def problem_of(self, found: os.stat_result) -> str:
        """Return what someone else has done to it; "" also if that cannot be noticed."""
        try:
            if found.st_size < self._size or not self._is_signed():
                return "overwritten"
        except OSError as error:  # the disk is dying
            return f"out of reach ({error.strerror})"
        self._size = found.st_size
        return ""

    def _is_signed(self) -> bool:
        header = self._header()
        if header is None:
            return True
        if not header.startswith(MAGIC):
            return False
        return self.mark is None or header[MARK_AT:] == self.mark.to_bytes(4, "big")

    def _header(self) -> bytes | None:
        """Read by one of SQLite's descriptors (see `descriptors`); None if it has closed them."""
        if not self._is_ours(self._descriptor):
            self._descriptor = next(iter(self.descriptors()), -1)
        return os.pread(self._descriptor, MARK_AT + 4, 0) if self._descriptor >= 0 else None

    def _is_ours(self, descriptor: int) -> bool:
        try:
            status = os.fstat(descriptor)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity
