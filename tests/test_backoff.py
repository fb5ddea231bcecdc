from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postamt_sync.backoff import FIRST_SECONDS, LONGEST_SECONDS, CircuitBreaker, growing_pause
from postamt_sync.errors import TryLaterError
from tests.doubles.clock import Clock

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


TROUBLE = TryLaterError("The bucket does not answer.")


@pytest.fixture(params=[0.0, 5e6], ids=["just booted", "long up"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return Clock(request.param)


def open_for(breaker: CircuitBreaker, clock: Clock) -> int:
    """Let time pass until it may be tried again; return the whole seconds that took."""
    began = clock.now
    while breaker.is_open:
        clock.now += 1
    return round(clock.now - began)


def test_it_opens_after_so_many_failures_in_a_row(clock: Clock) -> None:
    breaker = CircuitBreaker(clock, failures=3)
    for failure in (breaker.failed, breaker.failed):
        failure(TROUBLE)
        assert not breaker.is_open
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(TROUBLE)
    assert (breaker.is_open, breaker.trouble) == (False, None)
    breaker.failed(TROUBLE)
    assert (breaker.is_open, breaker.trouble) == (True, TROUBLE)


def test_the_pause_grows_until_something_succeeds(clock: Clock) -> None:
    breaker = CircuitBreaker(clock, longest=60.0)
    pauses = []
    for _ in range(6):
        breaker.failed(TROUBLE)
        pauses.append(open_for(breaker, clock))
        assert breaker.trouble is TROUBLE
    assert pauses[0] == 10
    assert pauses[1] > 15
    assert all(48 <= pause <= 60 for pause in pauses[3:])
    breaker.succeeded()
    breaker.failed(TROUBLE)
    assert open_for(breaker, clock) == 10


def test_what_fails_meanwhile_does_not_lengthen_the_pause(clock: Clock) -> None:
    breaker = CircuitBreaker(clock)
    breaker.failed(TROUBLE)
    clock.now += 9
    breaker.failed(TryLaterError("One that was under way."))
    assert breaker.trouble is TROUBLE
    clock.now += 1
    assert not breaker.is_open


def test_success_closes_it_at_once(clock: Clock) -> None:
    breaker = CircuitBreaker(clock)
    breaker.open(TROUBLE)
    breaker.succeeded()
    assert (breaker.is_open, breaker.trouble) == (False, None)


def test_with_a_short_limit_every_pause_is_the_same(clock: Clock) -> None:
    breaker = CircuitBreaker(clock, longest=10.0)
    for _ in range(5):
        breaker.failed(TROUBLE)
        assert open_for(breaker, clock) == 10
