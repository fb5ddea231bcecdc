"""One copy being written into `tmp/` of a mailbox: bytes counted, time set, synced."""

from __future__ import annotations

import contextlib
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from postamt_sync.delivery.disk import Disk, HeldDirectory, disk_trouble
from postamt_sync.errors import TryLaterError

_BARE_LF = re.compile(rb"\n(?<!\r\n)")
"""Begins with what is looked for: so the bytes between are passed over at the speed of memchr."""


@dataclass(frozen=True, slots=True)
class Written:
    """A complete, synced file `tmp/<stem>`; its directory entry is not durable yet.

    `size` counts the bytes, `vsize` the bytes with every line end as CRLF (Dovecot's S and W).
    """

    stem: str
    size: int
    vsize: int


class Draft:
    """One copy being written into `tmp/<stem>`. Blocking; a second thread waits for the first."""

    def __init__(self, disk: Disk, path: Path, at: HeldDirectory | None = None) -> None:
        """Create a new file: what an interrupted attempt left under this name is discarded.

        `at` is the mailbox's root as it is held meanwhile.
        """
        self._lock = threading.Lock()
        self._disk = disk
        self._path = path
        self._size = 0
        self._bare_lf = 0
        self._after_cr = False
        try:
            try:
                self._fd = disk.create(path, at)
            except FileExistsError:
                disk.unlink(path, at)
                self._fd = disk.create(path, at)
        except OSError as error:
            raise disk_trouble(error, path) from error

    def write(self, chunk: bytes) -> None:
        """Append bytes as they are."""
        try:
            with self._lock:
                self._disk.write(self._fd, chunk)
        except OSError as error:
            raise disk_trouble(error, self._path) from error
        self._size += len(chunk)
        self._bare_lf += len(_BARE_LF.findall(chunk))
        if self._after_cr and chunk.startswith(b"\n"):
            self._bare_lf -= 1
        if chunk:
            self._after_cr = chunk.endswith(b"\r")

    def finish(self, received_at: float, *, sync: bool = True) -> Written:
        """Set the time, sync and close. On return the bytes are durable, the entry is not.

        Without `sync` neither is: the file system is to be synced as a whole afterwards.

        Raises TryLaterError; the file must then be discarded and fetched again, because a second
        sync may claim what the first could not do.
        """
        try:
            with self._lock:
                self._disk.set_times(self._fd, received_at)
                if sync:
                    self._disk.sync(self._fd)
                on_disk = self._disk.size(self._fd)
                self._close()
        except OSError as error:
            raise disk_trouble(error, self._path) from error
        if on_disk != self._size:
            raise TryLaterError(
                f"{self._path} has {on_disk} bytes where {self._size} were written.",
                "Look at the disk and at dmesg; the mail is fetched again.",
            )
        return Written(self._path.name, self._size, self._size + self._bare_lf)

    def discard(self) -> None:
        """Close and remove the file, as far as the disk lets us; the next attempt starts over."""
        # Closed while another thread writes, the descriptor could be another file's by then.
        with self._lock, contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            self._disk.unlink(self._path)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._disk.close(fd)
