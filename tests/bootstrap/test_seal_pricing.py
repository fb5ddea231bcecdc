"""What sealing costs: each month, and once where there was an archive."""

from __future__ import annotations

import pytest

from postamt_sync.aws import prices
from postamt_sync.bootstrap.pricing import Usage, bill

LARGE = Usage(100, mail_kb=200, years=2, plain_days=31)


def items(usage: Usage, once: bool = False) -> dict[str, float]:
    found = bill(usage)
    return {item.what: item.quantity for item in (found.once if once else found.items)}


def test_without_sealing_nothing_of_it_is_in_the_bill() -> None:
    plain = Usage(100, mail_kb=200, years=2)
    assert not any("seal" in what for what in items(plain))
    assert bill(plain).once == ()
    assert bill(plain).as_json()["once"] == []


def test_plain_mail_is_stored_for_its_days_and_sealed_mail_from_then_on() -> None:
    a_day = LARGE.gigabytes / (365.25 / 12)
    found = items(LARGE)
    assert found["sealed mail, Glacier IR"] == pytest.approx(a_day * (730.5 - 31))
    assert found["storage, IA"] == pytest.approx(a_day * 1)
    assert found["storage, Glacier IR"] == 0
    small = items(Usage(100, mail_kb=20, years=2, plain_days=31))
    assert "sealed mail, Standard" in small


def test_a_small_household_pays_cents() -> None:
    sealed, plain = (bill(Usage(50, plain_days=days)).usd for days in (31, None))
    assert 0 < sealed - plain < 0.10


def test_what_an_archive_costs_once() -> None:
    found = items(LARGE, once=True)
    a_day = LARGE.gigabytes / (365.25 / 12)
    assert found["once: reading from IA"] == pytest.approx(a_day * 60)
    assert found["once: reading from Glacier IR"] == pytest.approx(a_day * (730.5 - 90))
    # Each day's mail of the last 90 pays what is left: on average the half.
    assert found["once: Glacier IR, early"] == pytest.approx(a_day * 90 * 45 / (365.25 / 12))
    assert found["once: IA, early"] == pytest.approx(a_day * 30 * 15 / (365.25 / 12))
    ir = next(item for item in bill(LARGE).once if item.what == "once: Glacier IR, early")
    assert ir.usd == pytest.approx(ir.quantity * prices.S3_ARCHIVE_GB.usd)


@pytest.mark.parametrize("years", [0.05, 0.1, 0.2, 1])
def test_a_young_archive_has_less_of_it(years: float) -> None:
    usage = Usage(100, mail_kb=200, years=years, plain_days=31)
    for what, quantity in (items(usage) | items(usage, once=True)).items():
        assert quantity >= 0, what
