"""Limits on what strangers can cause: how often it is logged, and how much is done for each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

QUIET_SECONDS = 60.0
MOST_KINDS = 50
"""Kinds that are told apart; all others count as one more."""
_OTHERS = object()
MOST_PEERS = 4096
"""Peers whose use is remembered; those who did nothing for longest are forgotten first."""


class Throttle:
    """Tells whether something of a kind may be logged now. For one thread, or under the GIL."""

    def __init__(
        self,
        seconds: float = QUIET_SECONDS,
        kinds: int = MOST_KINDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._kinds = kinds
        self._clock = clock
        self._quiet_until: dict[Hashable, float] = {}

    def allows(self, kind: Hashable) -> bool:
        """Whether it may; the next of this kind may not for a while.

        However many kinds a stranger invents, no more lines than `kinds` and one come in that time.
        """
        now = self._clock()
        if kind not in self._quiet_until and len(self._quiet_until) >= self._kinds:
            self._quiet_until = {k: at for k, at in self._quiet_until.items() if now < at}
            if len(self._quiet_until) >= self._kinds:
                kind = _OTHERS
        if now < self._quiet_until.get(kind, now):
            return False
        self._quiet_until[kind] = now + self._seconds
        return True


class Allowance:
    """So many times a minute for each peer, at once or one by one: none uses up another's."""

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
