"""What a restore costs, said before it is asked for."""

from __future__ import annotations

import pytest

from postamt_sync.recovery.difference import Difference, DifferenceKind
from postamt_sync.recovery.restore_cost import estimate, total


def mail(storage_class: str, size: int, *, locked: bool = False) -> Difference:
    return Difference(
        DifferenceKind.MISSING, "k", "m", size=size, storage_class=storage_class, locked=locked
    )


@pytest.mark.parametrize(
    ("mails", "tier", "usd"),
    [
        ([], "Bulk", 0.0),
        ([mail("STANDARD", 1_000_000_000)] * 1000, "Bulk", 0.0004 + 90.0),
        ([mail("GLACIER_IR", 1_000_000_000)], "Bulk", 0.0000004 + 0.09 + 0.03),
        # 1,000 GETs, 1 GB out, 1,000 requests, 1 GB out of the archive, 1 GB for 30 days
        (
            [mail("GLACIER", 1_000_000, locked=True)] * 1000,
            "Standard",
            0.0004 + 0.09 + 0.05 + 0.01 + 0.023,
        ),
        (
            [mail("DEEP_ARCHIVE", 1_000_000, locked=True)] * 1000,
            "Bulk",
            0.0004 + 0.09 + 0.025 + 0.0025 + 0.023,
        ),
        ([mail("GLACIER", 1_000_000)] * 1000, "Bulk", 0.0004 + 0.09),  # restored already
    ],
)
def test_the_sum_is_what_aws_charges(mails: list[Difference], tier: str, usd: float) -> None:
    assert total(estimate(mails, tier, 30)) == pytest.approx(usd)


def test_what_nobody_saw_at_aws_is_marked() -> None:
    mails = [mail("GLACIER", 10**9, locked=True), mail("STANDARD_IA", 10**9)]
    marks = {line.what: line.verified for line in estimate(mails, "Bulk", 7)}
    assert marks["2 GETs"]
    assert marks["1.000 GB readable for 7 days"]
    assert not marks["1 out of GLACIER, Bulk"]
    assert not marks["1.000 GB read from STANDARD_IA"]
