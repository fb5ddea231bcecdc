"""Whatever a mail is like, it is shown and answered: no 500, nothing without bounds.

All ten thousand: python -m tests.webmail.broken_mails 10000
"""

from __future__ import annotations

import tracemalloc

import pytest

from tests.support.campaign import spread
from tests.webmail.broken_mails import Reader, broken_mail

PEAK = 60 << 20
"""Bytes for one mail of at most 300 KB, in all its answers."""


@pytest.mark.slow
@pytest.mark.parametrize("first", spread(range(0, 40, 5), 4))
def test_no_mail_is_too_broken_to_be_read_and_answered(first: int) -> None:
    reader = Reader()
    assert [wrong for seed in range(first, first + 5) for wrong in reader.read(seed)] == []
    assert set(reader.statuses) <= {200, 404}


@pytest.mark.long
def test_memory_has_its_bounds() -> None:
    largest = max(range(100), key=lambda seed: len(broken_mail(seed)))
    reader = Reader()
    tracemalloc.start()
    try:
        reader.read(largest)
        assert tracemalloc.get_traced_memory()[1] < PEAK
    finally:
        tracemalloc.stop()


def test_a_seed_is_the_same_mail_each_time() -> None:
    assert [broken_mail(seed) for seed in range(20)] == [broken_mail(seed) for seed in range(20)]
    assert len({broken_mail(seed) for seed in range(300)}) == 300
