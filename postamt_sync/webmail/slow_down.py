"""Slowing down wrong sign-ins per address, or per known device, without ever locking anybody out.

The first few have no pause. After each further one the pause is longer, up to a minute. Attempts
during a pause are not checked and do not count, so that a user's turn always comes. The name of the
mailbox plays no part: strangers who try it only slow down themselves. A device on which someone has
signed in before has a count of its own, whoever shares its address.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from postamt_sync.webmail.exchange import RefusedRequestError
from postamt_sync.webmail.record_table import RecordTable

HOLDER = "tries"
FREE = 5
"""Attempts from one source before the first pause."""
LONGEST_PAUSE = 60
"""Seconds."""
FORGOTTEN_AFTER = 3_600
"""Seconds after the last attempt."""
_RACES = 4


class SlowDown:
    """Counts the attempts of each source, for all processes that share the table.

    A source is either `peer_network` of an address or `device_source` of a device.
    """

    def __init__(self, table: RecordTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock

    def admit(self, source: str) -> None:
        """Count an attempt that is about to be made; raises RefusedRequestError if it is too early.

        It counts before it is known to be wrong: otherwise many at once would all be the first.
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
        """Start over, as the right secret came from this source."""
        self._table.delete(HOLDER, source)


def device_source(device: str) -> str:
    """Return the source for a device's attempts, which cannot be mistaken for an address."""
    return f"device#{device}"


def _pause(count: int) -> float:
    return 0 if count < FREE else min(2.0 ** (count - FREE), LONGEST_PAUSE)


def _too_early(wait: float) -> RefusedRequestError:
    return RefusedRequestError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "There were too many wrong attempts. Wait a moment, then try again.",
        wait=wait,
        code="slow-down",
    )
