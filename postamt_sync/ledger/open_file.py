"""A file that this process has open: whether its path still names it, and it is what was written.

Whoever deletes a file, or puts another in its place, takes it from its path but not from the
process that has it open: that goes on writing, durably, into what nobody will ever find again.

`cp` writes into the file that is there: path and inode are right, and SQLite mixes what it finds
with what it remembers. A file that was made shorter tells of it, and so does a header without the
mark of this opening, which no copy of ours has.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from postamt_sync.errors import TryLaterError

_Identity = tuple[int, int]
"""Device and inode. No other file gets this one while it is open."""


@dataclass
class OpenFile:
    """One open file."""

    path: Path
    identity: _Identity

    @classmethod
    def of(cls, path: Path) -> Self:
        """Return the file that `path` names, and that this process has opened by that path.

        Raises TryLaterError if it is not, or no longer, the one that is open here.
        """
        try:
            identity = _identity(path.stat())
        except OSError as error:
            raise _taken_away(path) from error
        # Another file may have come to the path between the opening and this look.
        here = _open_here()
        if here and identity not in here:
            raise _taken_away(path)
        return cls(path, identity)

    def problem(self) -> str:
        """Say what has become of the path, "" if all is well. One system call."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return "deleted"
        except OSError as error:
            return f"out of reach ({error.strerror})"
        return self.problem_of(found) if _identity(found) == self.identity else "replaced"

    def problem_of(self, found: os.stat_result) -> str:  # noqa: ARG002
        """Say what is wrong with the file itself, in its place, "" if nothing is."""
        return ""

    def is_at(self, path: Path) -> bool:
        """Tell whether a path names this file."""
        try:
            return _identity(path.stat()) == self.identity
        except OSError:
            return False

    def has_a_name(self) -> bool:
        """Tell whether the file is found under any path: if not, it ends with this process."""
        return any(os.fstat(fd).st_nlink for fd in self.descriptors())

    def descriptors(self) -> list[int]:
        """Return under which descriptors this process has the file open. They are SQLite's.

        Empty where it is closed, or where nobody can tell.
        """
        return _open_here().get(self.identity, [])


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _open_here() -> dict[_Identity, list[int]]:
    # SQLite keeps its descriptors to itself, and one of our own could never be closed: that would
    # end all locks which this process has on the file.
    found: dict[_Identity, list[int]] = {}
    try:
        entries = list(Path("/proc/self/fd").iterdir())
    except OSError:  # no /proc, as in a bare chroot: then paths must be believed
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
    """In WAL mode: the file grows and changes by checkpoints alone."""

    mark: int | None = None
    """The application id that was given to it at this opening, once the file has it."""
    _size: int = 0
    _descriptor: int = -1

    def problem_of(self, found: os.stat_result) -> str:
        """Say how someone else has written to it, "" if nobody has, as far as can be told."""
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
        """Read through a descriptor of SQLite's (see `descriptors`); None: it has closed it."""
        if not self._is_ours(self._descriptor):
            self._descriptor = next(iter(self.descriptors()), -1)
        return os.pread(self._descriptor, MARK_AT + 4, 0) if self._descriptor >= 0 else None

    def _is_ours(self, descriptor: int) -> bool:
        try:
            status = os.fstat(descriptor)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self.identity
