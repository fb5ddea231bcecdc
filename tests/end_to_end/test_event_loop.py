"""While the ledger's disk is slow, the daemon still answers, and a pass still hears a signal."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles import off_the_loop
from tests.doubles.s3 import S3Double
from tests.end_to_end.home import REPOSITORY, Home, Running
from tests.end_to_end.letters import letter, letter_to_both, put
from tests.support import forked


@pytest.fixture
def blocked(home: Home) -> Path:
    """The file that tells which functions blocked an event loop."""
    path = home.root / "blocked"
    path.touch()
    return path


def start(home: Home, blocked: Path, *verb: str) -> Running:
    log = home.new_log()
    typed, environ = (*verb, "--config", str(home.config)), home.environ(BLOCKED=str(blocked))
    process = forked.start(typed, environ, REPOSITORY, (log, log), off_the_loop.run)
    return home.adopt(Running(process, log))


def carry_out(home: Home, blocked: Path, *verb: str) -> str:
    """Type a command and return where it blocked its loop."""
    typed = start(home, blocked, *verb)
    assert typed.ended() in {0, 3}, typed.tail()
    assert "Traceback" not in typed.tail()
    return blocked.read_text()


USES_IT_WRONGLY = """
import asyncio, sys
from pathlib import Path
from postamt_sync.ledger import Ledger
from postamt_sync.ledger.store import Store
from tests.doubles.off_the_loop import tell
Store.observer = staticmethod(tell)
ledger = Ledger.open(Path(sys.argv[1]))
async def right(): await asyncio.to_thread(ledger.overview.states)
async def wrong(): ledger.overview.states()
asyncio.run(right())
asyncio.run(wrong())
"""


def test_a_call_in_the_loop_would_be_told(home: Home, blocked: Path) -> None:
    """Without this none of the tests below could fail."""
    subprocess.run(
        [sys.executable, "-c", USES_IT_WRONGLY, str(home.state)],
        env=home.environ(BLOCKED=str(blocked)),
        cwd=REPOSITORY,
        check=True,
    )
    assert blocked.read_text().splitlines() == ["who has called it"]


@pytest.mark.parametrize(
    "verb",
    [
        ("sync", "--json"),
        ("sync", "--dry-run"),
        ("sync", "--mark-delivered"),
        ("verify", "--content"),
        ("rebuild",),
        ("find", "x", "--cloud"),
    ],
)
def test_no_verb_blocks_its_loop(
    home: Home, s3: S3Double, blocked: Path, verb: tuple[str, ...]
) -> None:
    put(s3, letter("one"), letter_to_both("both"))
    if verb[0] != "sync":
        assert home.sync()[0] == 0
    assert carry_out(home, blocked, *verb) == ""


def test_nor_does_a_pass_that_makes_up_for_a_lost_ledger(
    home: Home, s3: S3Double, blocked: Path
) -> None:
    put(s3, letter("one"), letter_to_both("both"))
    assert home.sync()[0] == 0
    for path in home.state.glob("ledger*"):
        path.unlink()
    assert carry_out(home, blocked, "sync", "--dry-run") == ""
    assert carry_out(home, blocked, "sync") == ""


def test_nor_does_the_daemon(home: Home, s3: S3Double, blocked: Path) -> None:
    put(s3, letter("one"), letter_to_both("both"))
    daemon = start(home, blocked, "run", "--debug")
    daemon.until("delivered", count=3)
    daemon.signal(signal.SIGHUP)
    daemon.until("reloaded")
    assert daemon.stop() == 0
    assert blocked.read_text() == ""
