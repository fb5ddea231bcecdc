"""How often something of a kind is logged."""

from __future__ import annotations

import pytest

from postamt_sync.throttle import Throttle
from tests.doubles.clock import Clock


def test_each_kind_once_in_its_time() -> None:
    clock = Clock()
    throttle = Throttle(60, clock=clock)
    assert [throttle.allows(kind) for kind in "aabba"] == [True, False, True, False, False]
    clock.now += 59
    assert not throttle.allows("a")
    clock.now += 1
    assert throttle.allows("a")


@pytest.mark.parametrize("kinds", [1, 5, 50])
def test_however_many_kinds_are_invented(kinds: int) -> None:
    clock = Clock()
    throttle = Throttle(60, kinds, clock)
    assert throttle.allows("true")
    lines = sum(throttle.allows(number) for number in range(1000) for _ in range(2))
    assert lines == kinds
    clock.now += 60
    assert throttle.allows("true"), "nobody takes the place of others for good"
