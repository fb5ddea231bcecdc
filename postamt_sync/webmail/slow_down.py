"""Wrong sign-ins get slower per address, or per known device, and nobody is ever locked out.

The first few are free. Each further one has to wait longer for the next, up to a minute; what is
tried meanwhile is not looked at and does not count, so that a person's own turn always comes. A
mailbox's name plays no part: a stranger who tries it slows down himself alone. A device that signed
in before has a count of its own, whoever shares its address.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from postamt_sync.webmail.exchange import RefusedRequestError
from postamt_sync.webmail.record_table import RecordTable

HOLDER = "tries"
FREE = 5
"""Tries in a row of one address before the first pause."""
LONGEST_PAUSE = 60
FORGOTTEN_AFTER = 3_600
"""Seconds after the last try."""
_RACES = 4


class SlowDown:
    """Counts the tries of each source, across all processes that share the table.

    A source is `peer_network` of an address, or `device_source` of a device.
    """

    def __init__(self, table: RecordTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def admit(self, source: str) -> None:
        """Count a try that is about to be made; raises RefusedRequestError if it comes too early.

        It counts before it is known to be wrong: many at once must not pass as the first.
        """
        for _ in range(_RACES):
            now = self._clock()
            kept = self._table.get(HOLDER, source)
            count = int(kept["count"]) if kept and int(kept["expires"]) > now else 0
            wait = int(kept["until"]) / 1_000 - now if kept and count else 0.0
            if wait > 0:
                raise _too_early(min(wait, LONGEST_PAUSE))
            fields = {
                "count": count + 1,
                "until": round((now + _pause(count + 1)) * 1_000),
                "expires": round(now) + FORGOTTEN_AFTER,
            }
            expect = {"count": kept["count"], "until": kept["until"]} if kept else None
            if self._table.put(HOLDER, source, fields, expect=expect):
                return
        raise _too_early(1)

    def forget(self, source: str) -> None:
        """Start over: the right secret came from there."""
        self._table.delete(HOLDER, source)


def device_source(device: str) -> str:
    """Return what the tries of a device are counted under; no address looks like it."""
    return f"device#{device}"


def _pause(count: int) -> float:
    return 0 if count < FREE else min(2.0 ** (count - FREE), LONGEST_PAUSE)


def _too_early(wait: float) -> RefusedRequestError:
    return RefusedRequestError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "That was wrong too often. Wait a moment, then try again.",
        wait=wait,
        code="slow-down",
    )
