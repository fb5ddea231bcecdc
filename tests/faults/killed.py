"""Delivers mail, and kills its own process at one moment of the delivery.

`main(CONFIG, "sync", "PUBLISH", "before", "2", "2")` kills a pass when it is about to rename for
the second time. The last number says how many large mails there are: the second group is then made
to hold all of them and whatever came meanwhile, as in a burst; 0 leaves it to chance.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from postamt_sync.app.daemon import Daemon
from postamt_sync.app.sync import SyncRun
from postamt_sync.bucket import Bucket
from postamt_sync.config import load
from postamt_sync.delivery import mailbox_threads
from postamt_sync.delivery.pending_mail import DeliveryStep
from postamt_sync.logs import configure_logging

LONGEST_WAIT = 30.0
LOOKS, PAUSE = 5, 0.02
"""How often in a row all others must be found asleep, and seconds between the looks."""


class Killer:
    """A witness that ends its process as a power failure does."""

    def __init__(self, step: DeliveryStep, side: str, nth: int, large: int) -> None:
        self._moment = (step, side == "after")
        self._nth = nth
        self._large = large
        self._seen: Counter[tuple[DeliveryStep, bool]] = Counter()
        self._change = threading.Condition()

    def __call__(self, step: DeliveryStep, done: bool) -> None:
        with self._change:
            self._seen[step, done] += 1
            self._change.notify_all()
            if (step, done) == self._moment and self._seen[self._moment] == self._nth:
                os.kill(os.getpid(), signal.SIGKILL)
            if self._large and not done:
                self._hold_back(step)

    def _hold_back(self, step: DeliveryStep) -> None:
        """Keep what is streamed out of the first group, and let it gather while that one waits."""
        in_group = threading.current_thread().name.startswith("publisher")
        if step is DeliveryStep.WRITE and not in_group:
            self._change.wait_for(lambda: self._seen[DeliveryStep.SYNC_TMP, False], LONGEST_WAIT)
        if step is DeliveryStep.SYNC_TMP and self._seen[step, False] == 1:
            all_written = self._seen[DeliveryStep.SYNC_FILE, True] + self._large
            self._change.wait_for(
                lambda: self._seen[DeliveryStep.SYNC_FILE, True] >= all_written, LONGEST_WAIT
            )
            self._until_others_sleep()

    def _until_others_sleep(self) -> None:
        """Wait until what was written has come to where the next group is put together.

        On a busy machine that takes as long as it likes; who has still to do it is not asleep.
        """
        end, looks = time.monotonic() + LONGEST_WAIT, 0
        while looks < LOOKS and time.monotonic() < end:
            something_happened = self._change.wait(PAUSE)
            looks = 0 if something_happened or not others_sleep() else looks + 1


def others_sleep() -> bool:
    """Whether no other thread of this process runs, or waits for a processor or a disk."""
    mine = str(threading.get_native_id())
    tasks = Path("/proc/self/task").iterdir()
    return all(_state(task) == "S" for task in tasks if task.name != mine)


def _state(task: Path) -> str:
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return "S"


def main(config: str, verb: str, step: str, side: str, nth: str, large: str) -> None:
    path = Path(config)
    settings = load(path)
    events = configure_logging(json=True, level="debug")
    # A step that leaves out a disk which is late is tried in tests/delivery/test_late_disk.py.
    mailbox_threads.LATE = LONGEST_WAIT
    killer = Killer(DeliveryStep[step], side, int(nth), int(large))
    if verb == "run":
        asyncio.run(Daemon(settings, lambda: load(path), events, observer=killer).run())
    else:
        bucket = Bucket(settings.bucket.name, settings.aws.region)
        asyncio.run(SyncRun(settings, events, bucket, observer=killer).run())
