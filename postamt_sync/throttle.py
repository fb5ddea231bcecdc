"""What strangers can cause is logged once a minute for each kind: they must not fill the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

QUIET_SECONDS = 60.0
MOST_KINDS = 50
"""Kinds that are told apart; all others count as one more."""
_OTHERS = object()


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
