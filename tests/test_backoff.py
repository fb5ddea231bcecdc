from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.backoff import FIRST_SECONDS, LONGEST_SECONDS, growing_pause

LEAST = 0.0
"""What `jitter` returns at least: nothing is taken off."""


def test_it_doubles_from_ten_seconds_to_an_hour() -> None:
    pauses = [growing_pause(n, jitter=lambda: LEAST) for n in range(11)]
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]


def test_up_to_a_fifth_is_taken_off() -> None:
    assert growing_pause(3, jitter=lambda: 1.0) == pytest.approx(64)


def test_by_default_the_pauses_differ() -> None:
    assert len({growing_pause(5) for _ in range(20)}) > 1


@given(st.integers(0, 10**9), st.floats(0, 1), st.floats(10, 86_400))
def test_never_below_ten_seconds_nor_above_the_longest(
    attempts: int, chance: float, longest: float
) -> None:
    pause = growing_pause(attempts, longest=longest, jitter=lambda: chance)
    assert FIRST_SECONDS <= pause <= longest
    assert growing_pause(attempts, jitter=lambda: chance) <= LONGEST_SECONDS
