"""Cases of a campaign: each is tried by `.ci/run`, a part of them whenever all tests are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def spread(cases: Iterable[Any], every: int) -> list[Any]:
    """Return the cases for `parametrize`: all but the first of each `every` are left to `.ci/run`.

    For cases that differ in where the same thing happens, as calls after which a run is killed.
    """
    return [
        pytest.param(*_several(case), marks=pytest.mark.long) if number % every else case
        for number, case in enumerate(cases)
    ]


def _several(case: Any) -> tuple[Any, ...]:
    return case if isinstance(case, tuple) else (case,)
