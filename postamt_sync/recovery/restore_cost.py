"""An estimate of what it costs to bring mail back.

Prices are those of us-east-1 in US dollars, as in `aws.prices`. Those for getting something out of
an archive were not checked against AWS's price list, and count as unverified.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from postamt_sync.aws.prices import EGRESS_GB, S3_GET, S3_STANDARD_GB, THOUSAND, Price
from postamt_sync.quantities import count as plural
from postamt_sync.recovery.difference import Difference

GB = 1e9
MONTH_DAYS = 30.0

HOURS = {
    ("GLACIER", "Bulk"): "5 to 12 hours",
    ("GLACIER", "Standard"): "3 to 5 hours",
    ("GLACIER", "Expedited"): "1 to 5 minutes",
    ("DEEP_ARCHIVE", "Bulk"): "up to 48 hours",
    ("DEEP_ARCHIVE", "Standard"): "up to 12 hours",
}
"""How long a restore takes, by storage class and tier (S3 API Reference, RestoreObject).
Deep Archive has no Expedited tier."""

_REQUEST = {
    ("GLACIER", "Bulk"): Price(0.025, THOUSAND, verified=False),
    ("GLACIER", "Standard"): Price(0.05, THOUSAND, verified=False),
    ("GLACIER", "Expedited"): Price(10.0, THOUSAND, verified=False),
    ("DEEP_ARCHIVE", "Bulk"): Price(0.025, THOUSAND, verified=False),
    ("DEEP_ARCHIVE", "Standard"): Price(0.10, THOUSAND, verified=False),
}
_RETRIEVAL_GB = {
    ("GLACIER", "Bulk"): Price(0.0, verified=False),
    ("GLACIER", "Standard"): Price(0.01, verified=False),
    ("GLACIER", "Expedited"): Price(0.03, verified=False),
    ("DEEP_ARCHIVE", "Bulk"): Price(0.0025, verified=False),
    ("DEEP_ARCHIVE", "Standard"): Price(0.02, verified=False),
}
_READING_GB = {
    "STANDARD_IA": Price(0.01, verified=False),
    "ONEZONE_IA": Price(0.01, verified=False),
    "GLACIER_IR": Price(0.03, verified=False),
}
"""Storage classes that can be read at once, for a fee per GB."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One line of an estimate. `verified`: its price was checked against AWS's price list."""

    what: str
    usd: float
    verified: bool


def estimate(mails: Iterable[Difference], tier: str, days: int) -> list[Cost]:
    """Return what it costs to bring these mails back; archived ones stay readable for `days`."""
    count: dict[tuple[str, bool], int] = {}
    size: dict[tuple[str, bool], float] = {}
    for mail in mails:
        at = (mail.storage_class, mail.locked)
        count[at] = count.get(at, 0) + 1
        size[at] = size.get(at, 0.0) + mail.size / GB
    gigabytes = sum(size.values())
    lines = [
        Cost(plural(sum(count.values()), "GET"), S3_GET.of(sum(count.values())), S3_GET.verified),
        # The month's free allowance may be used up already.
        Cost(
            f"{gigabytes:.3f} GB out of AWS, if none of it is free",
            gigabytes * EGRESS_GB.usd,
            True,
        ),
    ]
    for (storage_class, locked), number in sorted(count.items()):
        amount = size[storage_class, locked]
        if not locked:
            price = _READING_GB.get(storage_class)
            if price is not None:
                lines.append(
                    Cost(f"{amount:.3f} GB read from {storage_class}", price.of(amount), False)
                )
            continue
        out = (storage_class, tier)
        request, retrieval = _REQUEST.get(out), _RETRIEVAL_GB.get(out)
        if request is None or retrieval is None:
            lines.append(Cost(f"{number} out of {storage_class}: price unknown", 0.0, False))
            continue
        usd = request.of(number) + retrieval.of(amount)
        lines.append(Cost(f"{number} out of {storage_class}, {tier}", usd, False))
        kept = S3_STANDARD_GB.of(amount) * days / MONTH_DAYS
        lines.append(Cost(f"{amount:.3f} GB readable for {days} days", kept, True))
    return lines


def total(lines: Sequence[Cost]) -> float:
    """Return the sum in US dollars."""
    return sum(line.usd for line in lines)
