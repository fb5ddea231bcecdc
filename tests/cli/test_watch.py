"""`status --watch` on a real terminal, drawn by a terminal emulator of 80 columns."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest

from postamt_sync.cli.main import run
from postamt_sync.errors import ExitCode
from postamt_sync.ledger import Ledger, ObjectState
from tests.cli.test_status import announce, in_every_state
from tests.doubles.ledger import bring_to

PATIENCE = 60
LINES, COLUMNS = 30, 80
ALTERNATE, MAIN = b"\x1b[?1049h", b"\x1b[?1049l"
CURSOR_BACK = b"\x1b[?25h"


class Terminal:
    """A verb on a terminal of its own."""

    def __init__(self, config: Path, *verb: str, term: str = "xterm-256color") -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = {k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "postamt_sync", *verb, "--config", str(config)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment | {"TERM": term},
            start_new_session=True,
            # Only a terminal that is its own turns Ctrl-C into a signal.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        )
        os.close(theirs)
        self.written = b""
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)

    def _read(self, seconds: float) -> bool:
        """Draw what comes; False when nobody writes any more."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # the last writer has closed it
            return False
        self.written += data
        self._stream.feed(data)
        return bool(data)

    @property
    def shown(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def until(self, words: str) -> None:
        end = time.monotonic() + PATIENCE
        while words not in self.shown:
            assert time.monotonic() < end, self.shown
            assert self._read(0.1), self.shown

    def press(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def ended(self) -> int:
        while self._read(PATIENCE):
            pass
        return self._process.wait(PATIENCE)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.fixture
def watched(config: Path, ledger: Ledger) -> Iterator[Terminal]:
    in_every_state(ledger)
    terminal = Terminal(config, "status", "--watch")
    yield terminal
    terminal.close()


@pytest.mark.slow
def test_what_happens_is_drawn_in_its_place(watched: Terminal, ledger: Ledger) -> None:
    watched.until("3 waiting, 1 delivered, 1 quarantined")
    watched.until("quarantine retry --all")
    assert watched.shown.count("Daemon") == 1
    announce(ledger, "in/new")
    watched.until("4 waiting, 1 delivered, 1 quarantined")
    assert watched.shown.count("Daemon") == 1
    assert "3 waiting" not in watched.shown


@pytest.mark.slow
def test_ctrl_c_ends_it_and_gives_the_screen_back(watched: Terminal) -> None:
    watched.until("3 waiting")
    watched.press(b"\x03")
    assert watched.ended() == ExitCode.OK
    assert watched.written.count(ALTERNATE) == watched.written.count(MAIN) == 1
    left = watched.written.partition(MAIN)
    assert CURSOR_BACK in left[0] + left[2]
    assert b"Traceback" not in watched.written
    assert b"Stopped" not in watched.written


@pytest.mark.slow
def test_ctrl_c_in_the_first_moment_leaves_no_traceback(watched: Terminal) -> None:
    watched.until("Ctrl-C ends")
    watched.press(b"\x03\x03")
    assert watched.ended() in {ExitCode.OK, 128 + signal.SIGINT, -signal.SIGINT}
    assert b"Traceback" not in watched.written


@pytest.mark.slow
def test_long_lists_are_cut_so_that_the_rest_is_seen(
    config: Path, ledger: Ledger, tmp_path: Path
) -> None:
    announce(ledger, *(f"in/{'k' * 900}{n}" for n in range(30)))
    for number in range(8):
        bring_to(ledger, ObjectState.QUARANTINED, f"in/q{number}")
    terminal = Terminal(config, "status", "--watch")
    try:
        terminal.until("and 25 more")
        terminal.until("and 3 more: postamt-sync quarantine list")
        assert max(map(len, terminal.shown.splitlines())) <= COLUMNS
    finally:
        terminal.close()


@pytest.mark.slow
def test_a_ledger_that_goes_away_is_told_after_the_screen_is_back(
    config: Path, ledger: Ledger
) -> None:
    terminal = Terminal(config, "status", "--watch")
    try:
        terminal.until("Daemon")
        with ledger.store.writing() as db:
            db.execute("DROP TABLE sources")
        assert terminal.ended() == 75
        after = terminal.written.partition(MAIN)[2]
        assert b"Error: The ledger" in after
        assert b"Hint:" in after
    finally:
        terminal.close()


@pytest.mark.slow
def test_a_terminal_that_cannot_move_its_cursor_is_none(config: Path, ledger: Ledger) -> None:
    terminal = Terminal(config, "status", "--watch", term="dumb")
    try:
        assert terminal.ended() == ExitCode.USAGE
        assert b"this is not one" in re.sub(rb"\s+", b" ", terminal.written)
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("more", "words"), [([], "needs a terminal"), (["--json"], "exclude each other")]
)
def test_where_it_cannot_draw_it_says_so(
    config: Path,
    ledger: Ledger,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    words: str,
) -> None:
    assert run(["status", "--watch", "--config", str(config), *more]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Hint: Leave" in captured.err
    assert "Daemon" not in captured.out
