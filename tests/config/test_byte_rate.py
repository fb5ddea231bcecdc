"""How a person may write bytes a second, and what is said to those who write something else."""

from __future__ import annotations

from typing import Any

import pytest

from postamt_sync.config.byte_rate import bytes_a_second, shown_rate


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("", 0),
        ("  ", 0),
        ("0", 0),
        (0, 0),
        ("2M", 2_000_000),
        ("2m", 2_000_000),
        ("2 MB/s", 2_000_000),
        ("2MB", 2_000_000),
        ("1.5M", 1_500_000),
        ("500k", 500_000),
        ("500K", 500_000),
        ("1G", 1_000_000_000),
        ("2Mi", 2 << 20),
        ("64KiB/s", 65_536),
        ("1000", 1_000),
        (250_000, 250_000),
        (250_000.0, 250_000),
        ("2000000B/s", 2_000_000),
    ],
)
def test_it_is_understood(written: Any, means: int) -> None:
    assert bytes_a_second(written) == means


@pytest.mark.parametrize(
    "written",
    [
        *("fast", "2X", "-2M", "M", "2 M M", "2T", "٢M", "1e6", "2,5M", "i", "2i", "inf", "nan"),
        *(True, None, [2], {"rate": 2}, float("inf"), float("nan"), -5),
    ],
)
def test_others_are_refused_with_examples(written: Any) -> None:
    with pytest.raises(ValueError, match=r'^must be bytes a second.*"2M".*no limit\.$'):
        bytes_a_second(written)


@pytest.mark.parametrize("written", ["1", 999, "0.5k", "1001G", 10**12 + 1])
def test_what_cannot_be_meant_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match='must be at least "1k"'):
        bytes_a_second(written)


@pytest.mark.parametrize(
    ("bits", "octets"), [("16Mbit", "2M"), ("16 Mb/s", "2M"), ("800kbps", "100k")]
)
def test_bits_are_told_apart(bits: str, octets: str) -> None:
    with pytest.raises(ValueError, match=f'not bits: write "{octets}"'):
        bytes_a_second(bits)


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(0, "0 B/s"), (999, "999 B/s"), (1_000, "1 kB/s"), (1_234_567, "1.23 MB/s"), (2e9, "2 GB/s")],
)
def test_it_is_shown_as_it_is_written(rate: float, shown: str) -> None:
    assert shown_rate(rate) == shown
