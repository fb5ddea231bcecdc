"""Cases of a campaign: each is tried by `.ci/run`, a part of them whenever `tests/run` is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings


def spread(cases: Iterable[Any], every: int) -> list[Any]:
    """Return the cases for `parametrize`: all but the first of each `every` are left to `.ci/run`.

    For cases that differ in where the same thing happens, as calls after which a run is killed.
    """
    return [
        pytest.param(*_several(case), marks=pytest.mark.long) if number % every else case
        for number, case in enumerate(cases)
    ]


def examples(most: int) -> int:
    """Return how many examples Hypothesis draws: all in `.ci/run`, else the run's share of 100."""
    return max(1, most * settings.default.max_examples // 100)


def _several(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
