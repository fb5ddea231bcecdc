"""Standard streams that are closed, full or not read by anybody must not stop the work.

Then only what a verb prints is lost. The exit code says so: `failure` is asked at the end.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any, TextIO


class _KeptFile(io.FileIO):
    """Accepts whatever is written, and remembers the first failure to pass it on."""

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        while True:
            try:
                written = super().write(data)
            except OSError as error:
                self.failure = self.failure or error
                return memoryview(data).nbytes
            if written is not None:
                return written
            full = select.poll()  # someone made the stream non-blocking
            full.register(self.fileno(), select.POLLOUT)
            full.poll()


def keep() -> None:
    """Make sure that standard input, output and error exist and never raise.

    A closed descriptor would be reused for the next file that is opened, perhaps the ledger, and
    output would go there. Streams that somebody has replaced are left alone.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - never to be closed
    if sys.stdout is sys.__stdout__:
        sys.stdout = kept(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = kept(2, sys.stderr)


def failure(stream: TextIO) -> OSError | None:
    """Flush a stream and return its first failure since the last call; None if there was none."""
    stream.flush()
    file = getattr(getattr(stream, "buffer", None), "raw", None)
    if not isinstance(file, _KeptFile):
        return None
    found, file.failure = file.failure, None
    return found


def has_failed(stream: TextIO) -> bool:
    """Whether something that was written got lost; unlike `failure`, this resets nothing."""
    file = getattr(getattr(stream, "buffer", None), "raw", None)
    return isinstance(file, _KeptFile) and file.failure is not None


def kept(number: int, before: TextIO | None) -> TextIO:
    """Return a stream over a descriptor that never raises, but is otherwise like the one `before`.

    The descriptor stays open when the stream is closed.
    """
    try:
        file = _KeptFile(number, "w", closefd=False)
    except OSError:  # a directory
        file = _KeptFile(os.open(os.devnull, os.O_WRONLY), "w")
    return io.TextIOWrapper(
        io.BufferedWriter(file),
        encoding=before.encoding if before else "utf-8",
        errors="backslashreplace",
        line_buffering=number == 2 or getattr(before, "write_through", False) or file.isatty(),
    )
