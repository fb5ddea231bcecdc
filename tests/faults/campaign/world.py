"""One house under trial: the daemon as a process, its S3 and SNS, its disks, its readers.

Whatever strikes it, someone stands by as systemd does: a daemon that ends by itself is started
again, and that it ended is held against it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.doubles.s3 import S3Double
from tests.end_to_end.home import COMMAND, Running
from tests.end_to_end.webhooks import Reachable
from tests.faults.campaign.image import Image
from tests.faults.campaign.reader import Reader
from tests.faults.campaign.sender import Sender
from tests.faults.forked import fork

TOLD_WITHIN = 40.0
"""Seconds in which `status` has to name a cause that lasts."""
PAUSE = 0.05
RESTART_SECONDS = 1.0
TRY_LATER = 75
ENDED_BY_US = -signal.SIGKILL


@dataclass
class World:
    """`wrong` is what the judge has to be told; `forgotten` says that a ledger was lost, `striking`
    that a fault is open. `kills` and `cuts` count daemons killed and disks that lost their power.
    """

    home: Reachable
    s3: S3Double
    chance: random.Random
    sender: Sender
    images: dict[str, Image] = field(default_factory=dict)
    reader: Reader | None = None
    daemon: Running | None = None
    wrong: list[str] = field(default_factory=list)
    forgotten: bool = False
    striking: bool = False
    kills: int = 0
    cuts: int = 0

    def start(self) -> None:
        """Start the daemon, unless it runs."""
        if self.daemon is None:
            self.daemon = fork(self.home, "run")

    def start_under(self, program: Sequence[str]) -> None:
        """Start the daemon as the child of a program that makes its system calls fail."""
        self.kill()
        command = [*program, *COMMAND, "run", "--config", str(self.home.config)]
        self.daemon = self.home.start_program(command)

    def kill(self) -> None:
        """End the daemon as a loss of power does, if it runs."""
        daemon, self.daemon = self.daemon, None
        if daemon is not None:
            self.kills += 1
            with suppress(ProcessLookupError):
                # A tracer that is killed would let go of the daemon; one whose child is follows it.
                for pid in _children(daemon.pid) or [daemon.pid]:
                    os.kill(pid, signal.SIGKILL)
            self._judge_end(daemon, daemon.ended())

    def stop(self) -> None:
        """Let the daemon, if it runs, finish or undo what it was about, and end."""
        daemon, self.daemon = self.daemon, None
        if daemon is not None and (code := daemon.stop()) != 0:
            self.wrong.append(f"the daemon stopped with {code}: {daemon.tail()}")

    def live(self, seconds: float) -> None:
        """Let time pass, and start a daemon that ended by itself again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.stand_by()
            time.sleep(PAUSE)

    def stand_by(self) -> None:
        if self.daemon is not None and self.daemon.process.poll() is not None:
            daemon, self.daemon = self.daemon, None
            self._judge_end(daemon, daemon.ended())
            time.sleep(RESTART_SECONDS)
            self.start()

    def told(self, *words: str) -> None:
        """Wait until `status` says one of the words; held against the daemon if it never does."""
        end = time.monotonic() + TOLD_WITHIN
        said = ""
        if "state" in self.images and self.images["state"].is_dead:
            words += ("disk I/O error", "Input/output error")  # nothing else can be known then
        while time.monotonic() < end:
            done = self.home.do("status", "--json")
            said = done.stdout + done.stderr
            if any(word in said for word in words):
                return
            self.live(0.5)
        self.wrong.append(f"status never said one of {words}: {said}")

    def until(self, true: Callable[[], object], seconds: float) -> bool:
        """Let time pass until something is true, or that many seconds have gone by.

        What is dear to ask is asked for less often: of one processor, a tenth goes into it at most.
        """
        end = time.monotonic() + seconds
        asked = time.thread_time()
        while not true():
            if time.monotonic() > end:
                return False
            self.live(max(0.2, 9 * (time.thread_time() - asked)))
            asked = time.thread_time()
        return True

    def _judge_end(self, daemon: Running, code: int) -> None:
        text = daemon.log.read_text(errors="replace")
        if code == TRY_LATER and self.striking and '"started"' not in text and "Hint:" in text:
            return  # with a sentence, before it was ready: systemd tries it again
        if code != ENDED_BY_US:
            self.wrong.append(f"the daemon ended by itself with {code}: {text[-1500:]}")
        elif "Traceback" in text or "unexpected" in text:
            at = max(text.find("Traceback"), text.find("unexpected"))
            self.wrong.append(f"it met what it did not expect: {text[at - 200 : at + 1500]}")


def _children(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
