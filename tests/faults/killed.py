"""Delivers mail, and kills its own process at one moment of the delivery.

`main(CONFIG, "sync", "PUBLISH", "before", "2", "6")` kills a pass when it is about to rename for
the second time. The last number gathers so many mails: the first goes alone, all the others are one
group, as in a burst; 0 leaves it to chance.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from pathlib import Path

from postamt_sync.bucket import Bucket
from postamt_sync.config import load
from postamt_sync.daemon import Daemon
from postamt_sync.delivery.maildir import Step
from postamt_sync.logs import configure_logging
from postamt_sync.one_pass import OnePass

LONGEST_WAIT = 30.0


class Killer:
    """A witness that ends its process as a power failure does."""

    def __init__(self, step: Step, side: str, nth: int, gather: int) -> None:
        self._moment = (step, side == "after")
        self._nth = nth
        self._gather = gather
        self._seen: Counter[tuple[Step, bool]] = Counter()
        self._change = threading.Condition()

    def __call__(self, step: Step, done: bool) -> None:
        with self._change:
            self._seen[step, done] += 1
            self._change.notify_all()
            if (step, done) == self._moment and self._seen[self._moment] == self._nth:
                os.kill(os.getpid(), signal.SIGKILL)
            if self._gather and not done:
                self._hold_back(step)

    def _hold_back(self, step: Step) -> None:
        seen, wait = self._seen, self._change.wait_for
        if step is Step.SYNC_FILE and seen[step, False] > 1:
            wait(lambda: seen[Step.SYNC_TMP, False], LONGEST_WAIT)
        if step is Step.SYNC_TMP and seen[step, False] == 1:
            wait(lambda: seen[Step.SYNC_FILE, True] >= self._gather, LONGEST_WAIT)


def main(config: str, verb: str, step: str, side: str, nth: str, gather: str) -> None:
    path = Path(config)
    settings = load(path)
    events = configure_logging(json=True, level="debug")
    killer = Killer(Step[step], side, int(nth), int(gather))
    if verb == "run":
        asyncio.run(Daemon(settings, lambda: load(path), events, witness=killer).run())
    else:
        bucket = Bucket(settings.bucket.name, settings.aws.region)
        asyncio.run(OnePass(settings, events, bucket, witness=killer).run())
