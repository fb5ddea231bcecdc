"""A file that this process has open, and whether its path still names it.

Whoever deletes a file, or puts another in its place, takes it from its path but not from the
process that has it open: that goes on writing, durably, into what nobody will ever find again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from postamt_sync.errors import TryLaterError

_Identity = tuple[int, int]
"""Device and inode. No other file gets this one while it is open."""


@dataclass(slots=True)
class OpenFile:
    """One open file. `never_shrinks` says that only somebody else can have made it shorter."""

    path: Path
    identity: _Identity
    never_shrinks: bool = False
    _size: int = field(default=0, init=False)

    @classmethod
    def of(cls, path: Path, *, never_shrinks: bool = False) -> OpenFile:
        """Return the file that `path` names, and that this process has opened by that path.

        Raises TryLaterError if it is not, or no longer, the one that is open here.
        """
        try:
            identity = _identity(path.stat())
        except OSError as error:
            raise _taken_away(path) from error
        # Another file may have come to the path between the opening and this look.
        if identity not in _open_here():
            raise _taken_away(path)
        return cls(path, identity, never_shrinks)

    def problem(self) -> str:
        """Say what has become of the path, "" if all is well. One system call."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return "deleted"
        except OSError as error:
            return f"out of reach ({error.strerror})"
        if _identity(found) != self.identity:
            return "replaced"
        if self.never_shrinks:
            if found.st_size < self._size:
                return "overwritten"
            self._size = found.st_size
        return ""

    def is_at(self, path: Path) -> bool:
        """Tell whether a path names this file."""
        try:
            return _identity(path.stat()) == self.identity
        except OSError:
            return False

    def has_a_name(self) -> bool:
        """Tell whether the file is found under any path: if not, it ends with this process."""
        return _open_here().get(self.identity, 0) > 0


def _identity(found: os.stat_result) -> _Identity:
    return found.st_dev, found.st_ino


def _open_here() -> dict[_Identity, int]:
    """Return how many names each file has that is open in this process."""
    # SQLite keeps its descriptors to itself, and one of our own could never be closed: that would
    # end all locks which this process has on the file.
    found = {}
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            status = descriptor.stat()
        except OSError:  # closed meanwhile
            continue
        found[_identity(status)] = status.st_nlink
    return found


def _taken_away(path: Path) -> TryLaterError:
    return TryLaterError(
        f"The file {path} was deleted or replaced while it was being opened.", "Try it again."
    )
