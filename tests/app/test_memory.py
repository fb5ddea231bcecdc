from __future__ import annotations

import gc
import weakref

import pytest

from postamt_sync.app.memory import loaded_left_alone


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
