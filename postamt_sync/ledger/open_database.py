"""The file of an open SQLite database, and whether it is still what SQLite has written.

`cp` writes into the file that is there: path and inode are right, and SQLite mixes what it finds
with what it remembers. A file that was made shorter tells of it, and so does a header without the
mark of this opening, which no copy of ours has.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from postamt_sync.ledger.open_file import OpenFile

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
        """Say how somebody else has written to it, "" if nobody has, as far as can be told."""
        if found.st_size < self._size or not self._is_signed():
            return "overwritten"
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
