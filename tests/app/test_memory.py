from __future__ import annotations

import gc
import weakref

import pytest

from postamt_sync.app.memory import loaded_left_alone, pass_over_what_is_there


class Ring:
    """What only the collector can free."""

    def __init__(self) -> None:
        self.me = self


@pytest.mark.slow
def test_only_what_came_before_is_passed_over() -> None:
    before, old = gc.get_threshold(), Ring()
    stays = weakref.ref(old)
    with loaded_left_alone():
        del old
        new = weakref.ref(Ring())
        gc.collect()
        assert new() is None
        assert stays() is not None
    gc.collect()
    assert stays() is None
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


@pytest.mark.slow
def test_a_failure_leaves_nothing_behind() -> None:
    before = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), loaded_left_alone():
        raise ZeroDivisionError
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


@pytest.mark.slow
def test_what_is_there_is_looked_at_once_more_and_then_no_longer() -> None:
    lost, kept = weakref.ref(Ring()), Ring()
    stays = weakref.ref(kept)
    try:
        pass_over_what_is_there()
        assert lost() is None
        assert gc.get_freeze_count() > 0
        del kept
        gc.collect()
        assert stays() is not None
        pass_over_what_is_there()  # as after the ledger was opened again
        assert stays() is None
    finally:
        gc.unfreeze()
