"""How much each peer may have us do in a minute, so that none of them uses up what others need."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_PEERS = 4096
"""Peers whose use is remembered; those who did nothing for longest are forgotten first."""


class Allowance:
    """So many times a minute for each peer, at once or one by one."""

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """What is left of it by peer, and since when."""

    def spend(self, peer: str = "") -> bool:
        """Take one of this peer's; False where none is left."""
        now = self._clock()
        left, at = self._left.get(peer, (self._per_minute, now))
        left = min(self._per_minute, left + (now - at) * self._per_minute / 60)
        self._left[peer] = (left - 1 if left >= 1 else left, now)
        self._left.move_to_end(peer)
        while len(self._left) > MOST_PEERS:
            self._left.popitem(last=False)
        return left >= 1
