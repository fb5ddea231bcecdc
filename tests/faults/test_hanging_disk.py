"""One mailbox's disk answers nothing, as an NFS server that is away; a real daemon, whose system
calls on that Maildir are held up for longer than anybody waits.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import ANNA, BRUNO, COMMAND, Home, Running
from tests.end_to_end.letters import letter, put
from tests.faults.forked import fork

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason="no strace: apt install strace"),
]

FOR_EVER = "3600s"
CALLS = "openat,newfstatat,statx,getdents64,mkdirat,renameat,renameat2,linkat,unlinkat"


def start_while_hanging(home: Home, root: Path) -> Running:
    """Start the daemon so that whatever it asks of this Maildir never comes back."""
    paths = [root, root / "postamt-sync.marker", *(root / part for part in ("tmp", "new", "cur"))]
    held_up = [word for path in paths for word in ("-P", str(path))]
    inject = ["-e", f"trace={CALLS}", "-e", f"inject={CALLS}:delay_enter={FOR_EVER}"]
    strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", os.devnull, *held_up, *inject]
    return home.start_program([*strace, *COMMAND, "run", "--debug", "--config", str(home.config)])


def signal_daemon(running: Running, number: signal.Signals) -> None:
    """Signal the child of strace, which only watches."""
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), number)


@pytest.fixture
def home(home: Home) -> Iterator[Home]:
    """Of which no daemon lives on beside the strace that watched it."""
    yield home
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(home.config).encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)


def of(home: Home, name: str) -> list[bytes]:
    return [path.read_bytes() for place, path in home.mails() if place.mailbox == name]


@pytest.fixture
def hung(home: Home, s3: S3Double) -> None:
    """Anna and Bruno have had a mail each before Anna's disk hangs."""
    put(s3, letter("for-anna", ANNA))
    put(s3, letter("for-bruno", BRUNO))
    assert home.sync()[0] == 0


def test_a_lost_ledger_is_rebuilt_around_it(home: Home, s3: S3Double, hung: None) -> None:
    """Its mail waits, everybody else's comes, and nothing comes twice once the disk answers."""
    for ledger in home.state.glob("ledger.sqlite3*"):
        ledger.unlink()
    put(s3, letter("news-for-anna", ANNA))
    put(s3, letter("news-for-bruno", BRUNO))
    daemon = start_while_hanging(home, home.maildirs["anna"])
    daemon.until("started")
    daemon.wait(lambda: len(of(home, "bruno")) == 2, "bruno has his mail")
    daemon.wait(lambda: "does not answer" in home.do("status").stdout, "status names the disk")
    signal_daemon(daemon, signal.SIGTERM)
    daemon.until("stopped")
    signal_daemon(daemon, signal.SIGKILL)  # strace holds on to who waits in it

    daemon = fork(home, "run")
    daemon.wait(lambda: len(of(home, "anna")) == 2, "anna has her mail")
    assert daemon.stop() == 0
    assert len(of(home, "bruno")) == len(set(of(home, "bruno"))) == 2
    assert len(set(of(home, "anna"))) == 2
