"""Standard streams that are closed, full or read by nobody: no reason to stop the work.

What a verb prints is lost then, and nothing else. How the process ends says so: `failure` is asked
when all is done.
"""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any, TextIO


class _KeptFile(io.FileIO):
    """Takes whatever is written, and remembers the first time that it could not be passed on."""

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
            full = select.poll()  # someone made the stream one that does not wait
            full.register(self.fileno(), select.POLLOUT)
            full.poll()


def keep() -> None:
    """See that standard input, output and errors are there and raise nothing.

    A descriptor that was closed would be given to the next file that is opened, the ledger perhaps,
    and what is printed would go there. Streams that someone has put in their place stay.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest that is free
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - a descriptor, for good
    if sys.stdout is sys.__stdout__:
        sys.stdout = kept(1, sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = kept(2, sys.stderr)


def failure(stream: TextIO) -> OSError | None:
    """Return what kept a stream from being written since this was asked last, if anything did."""
    stream.flush()
    file = getattr(getattr(stream, "buffer", None), "raw", None)
    if not isinstance(file, _KeptFile):
        return None
    found, file.failure = file.failure, None
    return found


def has_failed(stream: TextIO) -> bool:
    """Tell whether something that was written went nowhere; asking changes nothing."""
    file = getattr(getattr(stream, "buffer", None), "raw", None)
    return isinstance(file, _KeptFile) and file.failure is not None


def kept(number: int, before: TextIO | None) -> TextIO:
    """Return a stream over a descriptor that raises nothing, in other respects like the one before.

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
