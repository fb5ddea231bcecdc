"""Durations in words."""

from __future__ import annotations

import math

from postamt_sync.ledger.history import BOUNDS, Latencies
from postamt_sync.status.durations import ago, bound, in_words


def test_the_past_is_worded_and_the_future_doubted() -> None:
    assert ago(990.0, 1000.0) == "10 s ago"
    assert ago(None, 1000.0) == "never"
    assert ago(1001.0, 1000.0) == "in the future (is the clock right?)"


def test_every_bound_is_a_whole_number_of_its_unit() -> None:
    assert [bound(b) for b in BOUNDS if math.isfinite(b)] == [
        *("1 s", "2 s", "5 s", "10 s", "30 s", "1 min", "5 min", "15 min", "1 h", "6 h", "1 day"),
    ]


def test_latencies_in_words() -> None:
    fast = Latencies({1.0: 90, 60.0: 9, math.inf: 1}, 0.0)
    assert in_words(fast) == "Half of it came within 1 s, 95 of 100 within 1 min."
    slow = Latencies({1.0: 90, math.inf: 10}, 0.0)
    assert in_words(slow) == "Half of it came within 1 s, 95 of 100 after more than a day."
    assert in_words(Latencies({1.0: 0}, 0.0)) == ""
