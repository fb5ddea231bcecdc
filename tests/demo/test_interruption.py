"""Ctrl-C in the demo, at several moments: nothing half drawn stays, and no process."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from contextlib import closing
from pathlib import Path

import pytest

from postamt_sync.cli.demo import Interruption
from tests.support.campaign import spread

PATIENCE = 240.0


class Terminal:
    """The demo as a person sees it; its directories lie below `scratch`."""

    def __init__(self, scratch: Path) -> None:
        self.screen = ""
        self._ours, theirs = pty.openpty()
        environment = os.environ | {"TMPDIR": str(scratch), "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "postamt_sync", "demo"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=_take_the_terminal,  # noqa: PLW1509 - so that Ctrl-C is a signal
        )
        os.close(theirs)

    def until(self, text: str) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.screen and time.monotonic() < end:
            self._read()
        assert text in self.screen, self.screen

    def close(self) -> None:
        """Leave nothing, also where a test failed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE)

    def press_ctrl_c(self) -> None:
        os.write(self._ours, b"\x03")

    def ended(self) -> int:
        end = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < end:
            self._read()
        self._read()
        os.close(self._ours)
        return self.process.wait(1)

    def _read(self) -> None:
        if select.select([self._ours], [], [], 0.1)[0]:
            try:
                self.screen += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # the other side is closed
                time.sleep(0.05)


def _take_the_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def left_behind(scratch: Path) -> list[str]:
    """Return the command lines of processes that were started with these directories."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if str(scratch).encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("moment", "times", "code"),
    spread(
        [
            ("Unpacking", 2, 130),
            ("status page", 1, 130),
            ("S3 ", 2, 130),
            ("stack ", 1, 130),
            ("milliseconds since SES", 2, 130),
            ("It stays up until Ctrl-C", 2, 0),
        ],
        6,
    ),
)
def test_ctrl_c_leaves_no_process_behind(
    tmp_path: Path, moment: str, times: int, code: int
) -> None:
    with closing(Terminal(tmp_path)) as shown:
        end_at(shown, moment, times, code)
    end = time.monotonic() + 10
    while (left := left_behind(tmp_path)) and time.monotonic() < end:
        time.sleep(0.1)
    assert left == []
    assert list(tmp_path.iterdir()) == []


def end_at(shown: Terminal, moment: str, times: int, code: int) -> None:
    shown.until(moment)
    time.sleep(0.3)  # into what comes next
    for _ in range(times):
        shown.press_ctrl_c()
        time.sleep(0.2)
    assert shown.ended() == code, shown.screen
    assert "Traceback" not in shown.screen
    assert "exception" not in shown.screen.lower()
    assert shown.screen.rfind("\x1b[?25h") >= shown.screen.rfind("\x1b[?25l")
    last = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.screen.rpartition("\x1b[2K")[2])
    assert not re.search("[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]", last)


def test_something_moves_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    """The spinner comes from rich alone: what AWS needs is loaded behind it."""
    listing = "import sys, postamt_sync.cli.demo, postamt_sync.demo.display; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", listing], text=True).split()
    heavy = {"boto3", "botocore", "aiohttp", "moto", "cryptography"}
    assert not heavy & set(loaded)


def test_only_the_first_ctrl_c_counts_while_all_is_cleared_away() -> None:
    cleared = []

    async def work() -> bool:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0)
            cleared.append(True)
        return True

    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption, pytest.raises(KeyboardInterrupt):
        asyncio.run(interruption.until(work()))
    assert cleared == [True]
    assert signal.getsignal(signal.SIGINT) is before
