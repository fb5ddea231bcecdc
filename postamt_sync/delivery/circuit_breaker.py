"""Not trying what cannot succeed now: the bucket, the ledger's disk, a server that is down."""

from __future__ import annotations

from collections.abc import Callable

from postamt_sync.backoff import growing_pause
from postamt_sync.errors import PostamtError

LONGEST_SECONDS = 300.0


class CircuitBreaker:
    """Counts failures in a row and says how long to try nothing. Not thread-safe."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        failures: int = 1,
        longest: float = LONGEST_SECONDS,
    ) -> None:
        """`clock` is monotonic. After `failures` in a row it opens, for at most `longest` seconds.

        The first pause is 10 s (`growing_pause`).
        """
        self.trouble: PostamtError | None = None
        """What is in the way, None if nothing is. It stays until something succeeds."""
        self._clock = clock
        self._limit = failures
        self._longest = longest
        self._failures = 0
        self._until = float("-inf")
        self._times = 0

    @property
    def is_open(self) -> bool:
        """Whether nothing is to be tried now."""
        return self._clock() < self._until

    def failed(self, error: PostamtError) -> None:
        """Note a failure; one alone may be the fault of what was tried."""
        self._failures += 1
        if self._failures >= self._limit:
            self.open(error)

    def open(self, error: PostamtError) -> None:
        """Try nothing for a pause that grows from time to time."""
        if self.is_open:
            return
        self.trouble = error
        self._until = self._clock() + growing_pause(self._times, longest=self._longest)
        self._times += 1

    def succeeded(self) -> None:
        """All is well: what was tried answered."""
        self.trouble = None
        self._until = float("-inf")
        self._times = 0
        self._failures = 0
